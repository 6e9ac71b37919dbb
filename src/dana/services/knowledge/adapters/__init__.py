"""The outside world of knowledge: the parsing child process and the embedding model."""
