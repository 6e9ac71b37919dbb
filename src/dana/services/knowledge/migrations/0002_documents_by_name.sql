-- The sample help centre is looked for by its file names, also among thousands of documents.
create index documents_by_name on knowledge.documents (org_id, filename);
