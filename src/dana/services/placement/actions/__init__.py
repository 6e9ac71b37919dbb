"""The verbs of placement."""
