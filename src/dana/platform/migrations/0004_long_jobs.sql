-- Long jobs: work that takes many transactions, with how far it has come. Each chunk of work writes its
-- progress into the same transaction, so a chunk is never done twice and never lost.

create table platform.long_jobs (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  event_type text not null,       -- the event by which its service does the next chunk
  kind text not null,
  about text not null,            -- what it works on, in words
  arguments json not null,
  state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
  done bigint not null default 0,
  total bigint,
  problems bigint not null default 0,
  resume json,                    -- where the next chunk begins
  error text,
  requested_by uuid,
  requested_by_name text not null,
  idempotency_key text,
  version int not null default 1, -- grows with every change; a chunk is done for one version only
  file_expires_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  finished_at timestamptz,
  tidy_at timestamptz,            -- when its files go; after that, when it goes itself
  primary key (org_id, id),
  check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null))
) with (fillfactor = 70);

create unique index long_jobs_once on platform.long_jobs (org_id, idempotency_key)
  where idempotency_key is not null;
create index long_jobs_active on platform.long_jobs (org_id) where state in ('queued', 'running');
create index long_jobs_to_tidy on platform.long_jobs (event_type, tidy_at) where tidy_at is not null;

-- What a job could not deal with, without stopping for it.
create table platform.long_job_problems (
  org_id uuid not null default platform.current_org(),
  job_id uuid not null,
  number bigint not null,
  subject text not null,
  reason text not null,
  primary key (org_id, job_id, number),
  foreign key (org_id, job_id) references platform.long_jobs on delete cascade
);

alter table platform.long_jobs enable row level security;
alter table platform.long_jobs force row level security;
create policy organization on platform.long_jobs
  using (org_id = platform.current_org()) with check (org_id = platform.current_org());
alter table platform.long_job_problems enable row level security;
alter table platform.long_job_problems force row level security;
create policy organization on platform.long_job_problems
  using (org_id = platform.current_org()) with check (org_id = platform.current_org());
grant select, insert, update, delete on platform.long_jobs, platform.long_job_problems to dana_service;

-- Which jobs of one service have left something behind for too long, over all organizations that live here.
create function platform.long_jobs_to_tidy(for_event_type text, at_most int) returns table (org_id uuid, id uuid)
language sql stable security definer set search_path = pg_catalog as $$
  select j.org_id, j.id from platform.long_jobs j
   where j.event_type = for_event_type and j.tidy_at <= now()
     and exists (select from platform.org_placement p where p.org_id = j.org_id and p.state = 'active')
   order by j.tidy_at limit at_most
$$;

revoke execute on function platform.long_jobs_to_tidy(text, int) from public;
grant execute on function platform.long_jobs_to_tidy(text, int) to dana_service;

-- Lets the function above see every organization where its owner is no superuser, as with hosted databases.
create policy upkeep on platform.long_jobs for select to current_user using (true);
