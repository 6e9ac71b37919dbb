-- Knowledge: documents, their files, the passages they were cut into, and the postings of lexical search.

create table knowledge.documents (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  title text not null,
  filename text not null,
  kind text not null,
  size_bytes bigint not null,
  status text not null check (status in ('queued', 'parsing', 'indexing', 'searchable', 'failed')),
  progress real not null default 0 check (progress between 0 and 1),
  passages int not null default 0,
  error text,
  version int not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id)
) with (fillfactor = 80);

-- Apart from the documents, so that a list never touches the bytes.
create table knowledge.files (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  content bytea not null,
  primary key (org_id, id),
  foreign key (org_id, id) references knowledge.documents (org_id, id) on delete cascade
);
alter table knowledge.files alter column content set storage external;

create table knowledge.passages (
  org_id uuid not null default platform.current_org(),
  document_id uuid not null,
  ordinal int not null,
  heading text not null,
  text text not null,
  spans int[] not null,  -- where each sentence begins and ends: begin, end, begin, end …
  vectors bytea,         -- 16-bit floats: one vector of the passage, then one of each sentence; null without a model
  primary key (org_id, document_id, ordinal),
  foreign key (org_id, document_id) references knowledge.documents (org_id, id) on delete cascade
);

-- One row for each term of each part of a document. A place is ordinal * 256 + weight, where the weight is
-- BM25's term-frequency factor, scaled to 1…255. So a score is a sum over few rows, without a join.
create table knowledge.postings (
  org_id uuid not null default platform.current_org(),
  gram int not null,
  document_id uuid not null,
  part smallint not null,
  found int not null,
  places int[] not null,
  primary key (org_id, gram, document_id, part) include (found),
  foreign key (org_id, document_id) references knowledge.documents (org_id, id) on delete cascade
);
create index postings_document on knowledge.postings (org_id, document_id);

-- Counters, and the version by which caches of vectors know that they are current.
create table knowledge.corpora (
  org_id uuid not null default platform.current_org(),
  version bigint not null default 0,
  documents int not null default 0,
  passages int not null default 0,
  primary key (org_id)
) with (fillfactor = 50);

select platform.protect('knowledge.documents');
select platform.protect('knowledge.files');
select platform.protect('knowledge.passages');
select platform.protect('knowledge.postings');
select platform.protect('knowledge.corpora');
