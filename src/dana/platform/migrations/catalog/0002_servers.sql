-- Shards on any server: where each is, how busy it is, and whose alone it is.

alter table platform.shards
  drop column host,
  drop column port,
  add column address text,               -- postgresql://host:port,host:port/?options; null: the catalog's servers
  add column dedicated_to uuid,          -- the only organization that may be placed here
  add column events_per_hour double precision not null default 0;  -- as measured last

-- How an administrator reaches the server of a shard; sealed with the installation's root key. Granted to
-- no service: only who already is an administrator of the catalog reads it.
create table platform.shard_logins (
  shard text primary key references platform.shards (name) on delete cascade,
  sealed_url bytea not null
);

-- While one of these stands, no migration runs. A move holds the schema of both its shards.
create table platform.schema_holds (
  name text primary key,
  reason text not null,
  since timestamptz not null default now()
);

-- Place an organization on its own shard, else on the least loaded; saying it twice changes nothing.
-- Each organization counts as one event an hour, so that silent ones spread, too.
create or replace function platform.place_organization(org uuid) returns table (shard text, epoch bigint)
language plpgsql volatile security definer set search_path = pg_catalog as $$
#variable_conflict use_column
declare
  chosen text;
begin
  perform pg_advisory_xact_lock(hashtextextended('place', 0));
  if not exists (select 1 from platform.organizations o where o.id = org) then
    select s.name into chosen from platform.shards s
     where s.dedicated_to = org or (s.is_open and s.dedicated_to is null)
     order by s.dedicated_to nulls last, s.events_per_hour + s.organizations, s.name limit 1;
    if chosen is null then
      raise exception 'no shard is open for new organizations' using errcode = 'OM003';
    end if;
    insert into platform.organizations (id, shard) values (org, chosen);
    update platform.shards set organizations = organizations + 1 where name = chosen;
  end if;
  return query select o.shard, o.epoch from platform.organizations o where o.id = org;
end $$;

-- The one moment at which a move happens for everybody: whoever asks from here on is sent to the new shard.
-- Returns false when the organization is not where the caller believes it to be.
create function platform.relocate_organization(org uuid, known_epoch bigint, to_shard text)
returns boolean language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  old_shard text;
begin
  select o.shard into old_shard from platform.organizations o
   where o.id = org and o.epoch = known_epoch for update;
  if old_shard is null then
    return false;
  end if;
  update platform.organizations set shard = to_shard, epoch = known_epoch + 1 where id = org;
  update platform.shards set organizations = organizations - 1 where name = old_shard;
  update platform.shards set organizations = organizations + 1 where name = to_shard;
  return true;
end $$;

revoke execute on function platform.relocate_organization(uuid, bigint, text) from public;
grant execute on function platform.relocate_organization(uuid, bigint, text) to dana_placement;
grant select, insert, update, delete on platform.schema_holds to dana_placement;
grant update (is_open, dedicated_to, events_per_hour) on platform.shards to dana_placement;
