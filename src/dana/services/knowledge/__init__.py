"""knowledge: an organization's documents, made searchable, and the sentences that answer questions.

Owns the schema `knowledge`: documents, files, passages, postings, corpora.
Publishes DocumentQueued, DocumentChanged, DocumentDeleted.
Consumes its own DocumentQueued: parsing and indexing happen apart from the upload.
Answers contracts.queries.Knowledge: search and quote, the same for the test page and the assistant.
"""
