-- What moves an organization to another shard while it works, and what lets replicas answer truthfully.

-- Travels with a moving organization's rows: when it has arrived, everything before it has.
create table platform.move_markers (
  org_id uuid not null,
  token uuid not null,
  primary key (org_id, token)
);

-- As before, but only for organizations that live here, and for none that is being frozen: it takes the
-- organization's lock before it looks again, like every writing transaction does. It never waits for one.
-- The time is read once: compared with a function that may change its mind, no index would leave out what is
-- postponed.
create or replace function platform.claim(
  for_group text, for_lane text, at_most int, lease interval, token uuid
) returns table (
  org_id uuid, cursor bigint, attempts int, id uuid, type text, payload text, created_at timestamptz
)
language plpgsql volatile security definer set search_path = pg_catalog as $$
#variable_conflict use_column
declare
  looked_at constant timestamptz := clock_timestamp();
  orgs uuid[];
  cursors bigint[];
  settled uuid[];
begin
  select array_agg(due.org_id), array_agg(due.cursor) into orgs, cursors from (
    select d.org_id, d.cursor
      from platform.deliveries d
     where d.consumer_group = for_group and d.lane = for_lane and d.state = 'ready'
       and d.available_at <= looked_at
       and (d.leased_until is null or d.leased_until < looked_at)
       and exists (select from platform.org_placement p where p.org_id = d.org_id and p.state = 'active')
       and (d.key is null or not exists (
             select 1 from platform.deliveries earlier
              where earlier.org_id = d.org_id and earlier.consumer_group = d.consumer_group
                and earlier.lane = d.lane and earlier.key = d.key and earlier.cursor < d.cursor
                and earlier.state = 'ready'))
     order by d.available_at
     limit at_most
       for update skip locked
  ) due;
  if orgs is null then
    return;
  end if;
  select array_agg(o) into settled from (select distinct unnest(orgs) as o) one
   where pg_try_advisory_xact_lock_shared(hashtextextended(o::text, 0));
  select array_agg(p.org_id) into settled from platform.org_placement p
   where p.org_id = any (settled) and p.state = 'active';
  return query
    with claimed as (
      update platform.deliveries d
         set leased_until = clock_timestamp() + lease, lease_token = token, attempts = d.attempts + 1
        from unnest(orgs, cursors) as due (org_id, cursor)
       where d.org_id = due.org_id and d.cursor = due.cursor and d.org_id = any (settled)
         and d.consumer_group = for_group and d.lane = for_lane
      returning d.org_id, d.cursor, d.attempts, d.event_created_at
    )
    select c.org_id, c.cursor, c.attempts, l.id, l.type, l.payload::text, l.created_at
      from claimed c
      join platform.event_log l
        on l.org_id = c.org_id and l.cursor = c.cursor and l.created_at = c.event_created_at
     order by c.cursor;
end $$;

create or replace function platform.backlog() returns table (
  consumer_group text, lane text, state text, deliveries bigint, oldest_seconds double precision
)
language sql stable security definer set search_path = pg_catalog as $$
  select d.consumer_group, d.lane, d.state, count(*),
         extract(epoch from clock_timestamp() - min(d.event_created_at))::double precision
    from platform.deliveries d
    join platform.org_placement p on p.org_id = d.org_id and p.state = 'active'
   group by 1, 2, 3;
$$;

-- Only of organizations that live here: the copy that a move leaves behind stands still.
create or replace function platform.cursors(orgs uuid[]) returns table (org_id uuid, value bigint)
language sql stable security definer set search_path = pg_catalog as $$
  select c.org_id, c.value from platform.org_cursor c
    join platform.org_placement p on p.org_id = c.org_id and p.state = 'active'
   where c.org_id = any (orgs);
$$;

-- Where this server stands in the log of all changes: a primary with what is safe on disk, a replica with
-- what it shows. The timeline of a replica that follows nobody is unknown.
create function platform.position() returns table (is_replica boolean, timeline bigint, lsn bigint)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if pg_is_in_recovery() then
    return query select true, (select w.received_tli::bigint from pg_stat_wal_receiver w),
                        pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint;
  else
    return query select false, ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::bigint,
                        pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint;
  end if;
end $$;

-- Return when this replica shows everything up to a position; raises OM004 when that takes too long.
create function platform.await_position(wanted_timeline bigint, wanted_lsn bigint, patience interval) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  deadline constant timestamptz := clock_timestamp() + patience;
begin
  loop
    if not pg_is_in_recovery() or (
      pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') >= wanted_lsn
      and (select w.received_tli from pg_stat_wal_receiver w) >= wanted_timeline
    ) then
      return;
    end if;
    if clock_timestamp() > deadline then
      raise exception 'this replica is behind %', wanted_lsn using errcode = 'OM004';
    end if;
    perform pg_sleep(0.001);
  end loop;
end $$;

-- As before, but it drops no partition of which a moving organization may still need rows.
create or replace function platform.keep_event_log(weeks_ahead int, weeks_kept int) returns void
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
  if exists (select from platform.move_markers) then
    return;
  end if;
  for partition in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'platform.event_log'::regclass
       and c.relname ~ '^event_log_[0-9]{4}w[0-9]{2}$'
       and c.relname < 'event_log_' || to_char(now() - make_interval(weeks => weeks_kept), 'IYYY"w"IW')
  loop
    execute format('drop table platform.%I', partition);
  end loop;
end $$;

revoke execute on function platform.position(), platform.await_position(bigint, bigint, interval) from public;
grant execute on function platform.position(), platform.await_position(bigint, bigint, interval) to dana_service;
