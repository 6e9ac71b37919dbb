"""The verbs of knowledge: upload, index, retry, delete, search, quote."""
