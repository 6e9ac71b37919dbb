"""The rules of conversations, pure: nouns, acts, and what may be written."""
