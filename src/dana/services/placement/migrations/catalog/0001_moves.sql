-- Moves of organizations from shard to shard: what has been done, and what is known about it.

create table placement.moves (
  id uuid primary key,
  org_id uuid not null,
  source text not null,              -- names, not references: the history outlives a shard
  target text not null,
  epoch bigint not null,             -- at the source; at the target it is one more
  state text not null check (state in (
    'requested', 'prepared', 'copying', 'synced', 'frozen', 'arrived', 'switched', 'disconnected',
    'verified', 'unproven', 'purged', 'aborting', 'aborted')),
  is_abort_wanted boolean not null default false,
  back_of uuid references placement.moves (id),
  rows_copied bigint not null default 0,
  rows_expected bigint not null default 0,
  lag_bytes bigint,
  held_bytes bigint,
  write_pause_ms double precision,
  opened_by bigint,                  -- the transaction at the target from which on others may have written there
  checks json not null default '[]',
  error text,
  requested_at timestamptz not null default now(),
  changed_at timestamptz not null default now()
);

-- One at a time before its switch; a roll-back may be asked for while the move it takes back is compared.
create unique index moves_on_their_way on placement.moves (org_id)
  where state in ('requested', 'prepared', 'copying', 'synced', 'frozen', 'arrived', 'aborting');
create index moves_open on placement.moves (requested_at)
  where state not in ('verified', 'unproven', 'purged', 'aborted');
create index moves_of_organization on placement.moves (org_id, requested_at);

-- Checksums of the target's tables as they were at the switch, so that a comparison that was cut is still exact.
create table placement.move_digests (
  move_id uuid not null references placement.moves (id),
  table_name text not null,
  buckets int[] not null,
  counts bigint[] not null,
  digests bigint[] not null,
  primary key (move_id, table_name)
);

-- The switch: the record and the route change together, so that either both have happened or neither.
-- Returns false when somebody wanted the move aborted before that.
create function placement.switch_over(wanted uuid, first_transaction bigint) returns boolean
language plpgsql volatile as $$
declare
  switched placement.moves;
begin
  update placement.moves
     set state = 'switched', opened_by = first_transaction, changed_at = clock_timestamp()
   where id = wanted and state in ('synced', 'frozen', 'arrived') and not is_abort_wanted
  returning * into switched;
  if switched.id is null then
    return false;
  end if;
  if not platform.relocate_organization(switched.org_id, switched.epoch, switched.target) then
    raise exception 'organization % is no longer on % at epoch %',
      switched.org_id, switched.source, switched.epoch using errcode = 'OM001';
  end if;
  return true;
end $$;

revoke execute on all functions in schema placement from public;
grant execute on all functions in schema placement to dana_placement;
select platform.grant_table('placement.moves');
select platform.grant_table('placement.move_digests');
