"""The nouns of knowledge and their rules; pure functions, no I/O."""
