"""knowledge: an organization's documents, made searchable, and the sentences that answer questions.

Owns the schema `knowledge`: documents, files, passages, postings, corpora.
Publishes DocumentQueued, DocumentChanged, DocumentDeleted, KnowledgeJobAdvanced.
Consumes its own DocumentQueued and KnowledgeJobAdvanced: parsing and indexing happen apart from requests.
Answers contracts.queries.Knowledge: search and quote, the same for the test page and the assistant.
"""
