"""The nouns and rules of placement."""
