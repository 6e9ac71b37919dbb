-- The catalog: which shards there are, which organization lives where, and which public key leads to whom.

create schema platform;

create table platform.shards (
  name text primary key,
  host text,                       -- null: the server the catalog is on
  port int,
  database text not null,
  organizations bigint not null default 0,
  is_open boolean not null default true  -- whether new organizations may be placed here
);

create table platform.organizations (
  id uuid primary key,
  shard text not null references platform.shards (name),
  epoch bigint not null default 1,
  created_at timestamptz not null default now()
);
create index on platform.organizations (shard);

create table platform.channel_routes (
  public_key text primary key,
  org_id uuid not null references platform.organizations (id),
  inbox_id uuid not null
);
create index on platform.channel_routes (org_id);

-- Place an organization on the shard with the fewest; saying it twice changes nothing.
create function platform.place_organization(org uuid) returns table (shard text, epoch bigint)
language plpgsql volatile security definer set search_path = pg_catalog as $$
#variable_conflict use_column
declare
  chosen text;
begin
  perform pg_advisory_xact_lock(hashtextextended('place', 0));
  if not exists (select 1 from platform.organizations o where o.id = org) then
    select s.name into chosen from platform.shards s
     where s.is_open order by s.organizations, s.name limit 1;
    if chosen is null then
      raise exception 'no shard is open for new organizations' using errcode = 'OM003';
    end if;
    insert into platform.organizations (id, shard) values (org, chosen);
    update platform.shards set organizations = organizations + 1 where name = chosen;
  end if;
  return query select o.shard, o.epoch from platform.organizations o where o.id = org;
end $$;

create function platform.publish_route(key text, org uuid, inbox uuid) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  insert into platform.channel_routes (public_key, org_id, inbox_id) values (key, org, inbox)
    on conflict (public_key) do nothing;
$$;

create function platform.grant_table(target regclass) returns void language plpgsql as $$
begin
  execute format('grant select, insert, update, delete on %s to %I', target, 'dana_' || (
    select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target));
end $$;

revoke execute on all functions in schema platform from public;
grant usage on schema platform to dana_service;
grant select on platform.shards, platform.organizations, platform.channel_routes to dana_service;
grant execute on function platform.place_organization(uuid) to dana_auth;
grant execute on function platform.publish_route(text, uuid, uuid) to dana_conversations;
