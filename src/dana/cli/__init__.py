"""The command line: `dana …`. Each file is a command or a group; what they do lives in the platform."""
