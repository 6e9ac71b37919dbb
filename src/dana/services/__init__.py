"""The services; each is a folder and may run as its own process."""
