-- How the assistant of each organization presents itself. One row for now; a row per inbox may join.
create table ai.assistants (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  name text not null,
  language text,
  tone text,
  threshold double precision check (threshold between 0 and 1),
  hand_over_text text not null,
  provider_kind text not null check (provider_kind in ('extractive', 'openai')),
  base_url text not null,
  model text not null,
  sealed_key bytea, -- encrypted with a key of the installation
  updated_at timestamptz not null default now(),
  primary key (org_id, id),
  unique (org_id)
);

-- The fence of each conversation: the cursor of the newest event that settles who may answer it.
-- An answer belongs to the event of its own cursor, and counts only while that is the newest.
create table ai.turns (
  org_id uuid not null default platform.current_org(),
  id uuid not null, -- the conversation's
  fence_cursor bigint not null,
  answered_cursor bigint not null default 0,
  primary key (org_id, id)
) with (fillfactor = 70);

select platform.protect('ai.assistants');
select platform.protect('ai.turns');
