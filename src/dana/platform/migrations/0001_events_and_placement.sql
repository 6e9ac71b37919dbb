-- The platform's part of every shard: who lives here, the event log, and what is due to be consumed.

create schema platform;

-- Who lives here. A transaction names the epoch it believes in; a stale one is refused.
create table platform.org_placement (
  org_id uuid primary key,
  epoch bigint not null,
  state text not null check (state in ('active', 'importing', 'frozen', 'moved'))
);

-- One row per organization: the cursor of its newest event. Taken inside the writing transaction,
-- so that cursors are gapless and in commit order.
create table platform.org_cursor (
  org_id uuid primary key,
  value bigint not null default 0
) with (fillfactor = 50);

-- The columns a change-data-capture outbox router expects (id, aggregate_type, aggregate_id, type, payload).
create table platform.event_log (
  org_id uuid not null,
  cursor bigint not null,
  id uuid not null,
  type text not null,
  version int not null,
  aggregate_type text not null,
  aggregate_id uuid,
  payload json not null,
  actor json not null,
  created_at timestamptz not null,
  primary key (org_id, cursor, created_at)
) partition by range (created_at);

create table platform.event_log_default partition of platform.event_log default;
create index on platform.event_log (org_id, aggregate_id, cursor);

-- Who consumes what: written by the consumers when they start, read when an event is emitted.
create table platform.subscriptions (
  event_type text not null,
  consumer_group text not null,
  lane text not null,
  primary key (event_type, consumer_group, lane)
);

-- What is due. A row is one event for one consumer; it goes when its effects have committed.
create table platform.deliveries (
  org_id uuid not null,
  cursor bigint not null,
  consumer_group text not null,
  lane text not null,
  key uuid,
  event_created_at timestamptz not null,
  attempts int not null default 0,
  available_at timestamptz not null default clock_timestamp(),
  leased_until timestamptz,
  lease_token uuid,
  state text not null default 'ready' check (state in ('ready', 'dead')),
  last_error text,
  primary key (org_id, cursor, consumer_group, lane)
) with (fillfactor = 70);

create index deliveries_due on platform.deliveries (consumer_group, lane, available_at) where state = 'ready';
create index deliveries_order on platform.deliveries (org_id, consumer_group, lane, key, cursor)
  where state = 'ready';
create index deliveries_dead on platform.deliveries (available_at) where state = 'dead';

create function platform.current_org() returns uuid language sql stable parallel safe
return nullif(current_setting('app.org_id', true), '')::uuid;

-- The fence at the start of every transaction. Volatile, and it locks before it looks: a snapshot
-- taken earlier could show a placement that has ended meanwhile.
create function platform.begin_org(org uuid, known_epoch bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  placed platform.org_placement;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended(org::text, 0));
  select * into placed from platform.org_placement where org_id = org;
  if placed.org_id is null or placed.state <> 'active' or placed.epoch <> known_epoch then
    raise exception 'organization % is not here at epoch %', org, known_epoch using errcode = 'OM001';
  end if;
  perform set_config('app.org_id', org::text, true);
end $$;

create function platform.adopt_organization(org uuid, first_epoch bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into platform.org_placement (org_id, epoch, state) values (org, first_epoch, 'active')
    on conflict do nothing;
  insert into platform.org_cursor (org_id) values (org) on conflict do nothing;
end $$;

-- Append events to the log and to what is due; returns the cursor of the last one.
-- Called last in a transaction: the organization's counter stays locked until the commit.
create function platform.emit(
  ids uuid[], types text[], versions int[], aggregate_types text[], keys uuid[], payloads text[],
  created_at timestamptz, actor text
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  org constant uuid := platform.current_org();
  many constant int := cardinality(ids);
  newest bigint;
begin
  update platform.org_cursor set value = value + many where org_id = org returning value into newest;
  if newest is null then
    raise exception 'emit outside of an organization' using errcode = 'OM002';
  end if;
  insert into platform.event_log
    (org_id, cursor, id, type, version, aggregate_type, aggregate_id, payload, actor, created_at)
  select org, newest - many + e.n, e.id, e.type, e.version, e.aggregate_type, e.key, e.payload::json,
         emit.actor::json, emit.created_at
    from unnest(ids, types, versions, aggregate_types, keys, payloads) with ordinality
         as e (id, type, version, aggregate_type, key, payload, n);
  insert into platform.deliveries (org_id, cursor, consumer_group, lane, key, event_created_at)
  select org, newest - many + e.n, s.consumer_group, s.lane, e.key, emit.created_at
    from unnest(types, keys) with ordinality as e (type, key, n)
    join platform.subscriptions s on s.event_type = e.type;
  return newest;
end $$;

-- Claim what is due for one consumer, at most the oldest of each key, so that order per key holds.
create function platform.claim(
  for_group text, for_lane text, at_most int, lease interval, token uuid
) returns table (
  org_id uuid, cursor bigint, attempts int, id uuid, type text, payload text, created_at timestamptz
)
language sql volatile security definer set search_path = pg_catalog as $$
  with head as (
    select d.org_id, d.cursor
      from platform.deliveries d
     where d.consumer_group = for_group and d.lane = for_lane and d.state = 'ready'
       and d.available_at <= clock_timestamp()
       and (d.leased_until is null or d.leased_until < clock_timestamp())
       and (d.key is null or not exists (
             select 1 from platform.deliveries earlier
              where earlier.org_id = d.org_id and earlier.consumer_group = d.consumer_group
                and earlier.lane = d.lane and earlier.key = d.key and earlier.cursor < d.cursor
                and earlier.state = 'ready'))
     order by d.available_at
     limit at_most
       for update skip locked
  ), claimed as (
    update platform.deliveries d
       set leased_until = clock_timestamp() + lease, lease_token = token, attempts = d.attempts + 1
      from head
     where d.org_id = head.org_id and d.cursor = head.cursor
       and d.consumer_group = for_group and d.lane = for_lane
    returning d.org_id, d.cursor, d.attempts, d.event_created_at
  )
  select c.org_id, c.cursor, c.attempts, l.id, l.type, l.payload::text, l.created_at
    from claimed c
    join platform.event_log l
      on l.org_id = c.org_id and l.cursor = c.cursor and l.created_at = c.event_created_at
   order by c.cursor
$$;

-- Done. Returns false when the lease was lost meanwhile: then the caller must roll back.
create function platform.finish(org uuid, at_cursor bigint, for_group text, for_lane text, token uuid)
returns boolean language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  delete from platform.deliveries
   where org_id = org and cursor = at_cursor and consumer_group = for_group and lane = for_lane
     and lease_token = token;
  return found;
end $$;

create function platform.renew(
  org uuid, at_cursor bigint, for_group text, for_lane text, token uuid, lease interval
) returns boolean language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update platform.deliveries set leased_until = clock_timestamp() + lease
   where org_id = org and cursor = at_cursor and consumer_group = for_group and lane = for_lane
     and lease_token = token;
  return found;
end $$;

-- It failed: try again after a pause, or lay it among the dead.
create function platform.postpone(
  org uuid, at_cursor bigint, for_group text, for_lane text, token uuid,
  error text, pause interval, is_dead boolean
) returns void language sql volatile security definer set search_path = pg_catalog as $$
  update platform.deliveries
     set leased_until = null, lease_token = null, last_error = error,
         available_at = clock_timestamp() + pause,
         state = case when is_dead then 'dead' else 'ready' end
   where org_id = org and cursor = at_cursor and consumer_group = for_group and lane = for_lane
     and lease_token = token;
$$;

create function platform.subscribe(for_group text, types text[], lanes text[]) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  delete from platform.subscriptions
   where consumer_group = for_group
     and (event_type, lane) not in (select * from unnest(types, lanes));
  insert into platform.subscriptions (event_type, consumer_group, lane)
  select t, for_group, l from unnest(types, lanes) as u (t, l)
      on conflict do nothing;
$$;

-- How much is due and how much has died, for the metrics. Bounded by the backlog, not by the log.
create function platform.backlog() returns table (
  consumer_group text, lane text, state text, deliveries bigint, oldest_seconds double precision
)
language sql stable security definer set search_path = pg_catalog as $$
  select d.consumer_group, d.lane, d.state, count(*),
         extract(epoch from clock_timestamp() - min(d.event_created_at))::double precision
    from platform.deliveries d group by 1, 2, 3;
$$;

-- The newest cursor of many organizations at once, for real-time nodes that look for gaps.
create function platform.cursors(orgs uuid[]) returns table (org_id uuid, value bigint)
language sql stable security definer set search_path = pg_catalog as $$
  select c.org_id, c.value from platform.org_cursor c where c.org_id = any (orgs);
$$;

-- Partitions of the log, one a week, made ahead of time; what is older than the window goes.
create function platform.keep_event_log(weeks_ahead int, weeks_kept int) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  monday date;
  partition text;
begin
  for n in 0 .. weeks_ahead loop
    monday := date_trunc('week', now() at time zone 'utc')::date + 7 * n;
    partition := 'event_log_' || to_char(monday, 'IYYY"w"IW');
    if to_regclass('platform.' || partition) is null then
      execute format('create table platform.%I partition of platform.event_log for values from (%L) to (%L)',
        partition, monday::text || ' 00:00:00+00', (monday + 7)::text || ' 00:00:00+00');
      perform platform.protect_log(partition);
    end if;
  end loop;
  for partition in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'platform.event_log'::regclass
       and c.relname ~ '^event_log_[0-9]{4}w[0-9]{2}$'
       and c.relname < 'event_log_' || to_char(now() - make_interval(weeks => weeks_kept), 'IYYY"w"IW')
  loop
    execute format('drop table platform.%I', partition);
  end loop;
end $$;

create function platform.protect_log(partition text) returns void language plpgsql as $$
begin
  execute format('alter table platform.%I enable row level security', partition);
end $$;

-- What every service's migration calls for each of its tables.
create function platform.protect(target regclass) returns void language plpgsql as $$
declare
  service constant text := (
    select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target);
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy organization on %s using (org_id = platform.current_org())'
                 ' with check (org_id = platform.current_org())', target);
  execute format('grant select, insert, update, delete on %s to %I', target, 'dana_' || service);
end $$;

alter table platform.event_log enable row level security;
create policy organization on platform.event_log using (org_id = platform.current_org());
alter table platform.event_log_default enable row level security;
alter table platform.org_cursor enable row level security;
create policy organization on platform.org_cursor using (org_id = platform.current_org());

select platform.keep_event_log(4, 5);

revoke execute on all functions in schema platform from public;
grant usage on schema platform to dana_service;
grant select on platform.event_log, platform.org_cursor to dana_service;
grant execute on function
  platform.current_org(), platform.begin_org(uuid, bigint), 
  platform.emit(uuid[], text[], int[], text[], uuid[], text[], timestamptz, text),
  platform.claim(text, text, int, interval, uuid), platform.finish(uuid, bigint, text, text, uuid),
  platform.renew(uuid, bigint, text, text, uuid, interval),
  platform.postpone(uuid, bigint, text, text, uuid, text, interval, boolean),
  platform.subscribe(text, text[], text[]), platform.cursors(uuid[]), platform.backlog(),
  platform.keep_event_log(int, int)
  to dana_service;
grant execute on function platform.adopt_organization(uuid, bigint) to dana_auth;
