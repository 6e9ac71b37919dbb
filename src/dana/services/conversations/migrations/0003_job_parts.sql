-- What long jobs keep for themselves: a file that is being made, or one that is being taken in, in parts that
-- one transaction can write or read. So a file is where its organization is: on whichever server, in every
-- backup, out of every other organization's sight.
create table conversations.job_parts (
  org_id uuid not null default platform.current_org(),
  job_id uuid not null,
  number int not null,
  first_line bigint not null,
  lines int not null,
  size_bytes int not null,   -- of the text
  sha256 bytea not null,     -- of the text
  content bytea not null,    -- the text, as a gzip member of its own: members one after another are a gzip file
  primary key (org_id, job_id, number)
);
alter table conversations.job_parts alter column content set storage external;

select platform.protect('conversations.job_parts');
