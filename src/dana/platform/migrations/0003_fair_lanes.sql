-- Lanes that are fair to organizations, and deliveries that are due later.
--
-- A claim asks who is in line (a step of an index for each organization), takes whoever has had the least, and
-- of hers the oldest of each key. So it does the same work whether an organization has one delivery due or a
-- hundred thousand.

-- Whether it is only due later, as far as anybody has looked: put off after a failure, or meant for later. A
-- claim takes it into the line when its time has come.
alter table platform.deliveries add column is_waiting boolean not null default false;
update platform.deliveries set is_waiting = true where state = 'ready' and available_at > clock_timestamp();

create index deliveries_in_line on platform.deliveries (consumer_group, lane, org_id, cursor)
  where state = 'ready' and not is_waiting;
create index deliveries_waiting on platform.deliveries (consumer_group, lane, available_at)
  where state = 'ready' and is_waiting;
drop index platform.deliveries_due;

-- How much work a lane has given to each organization: virtual time, a unit for each delivery. Who comes after
-- a rest begins where the lane stands, so nobody is paid for silence, and nobody waits for what others had.
-- It is of the shard, not of the organization: whoever moves begins anew; and so does everybody after a crash.
create unlogged table platform.shares (
  consumer_group text not null,
  lane text not null,
  organization uuid not null,
  virtual_time bigint not null,
  deliveries bigint not null,
  served_at timestamptz not null,
  primary key (consumer_group, lane, organization)
);
create index shares_in_order on platform.shares (consumer_group, lane, virtual_time);

alter table platform.subscriptions add column delay interval not null default '0';

create function platform.subscribe(for_group text, types text[], lanes text[], delays interval[]) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  delete from platform.subscriptions
   where consumer_group = for_group
     and (event_type, lane) not in (select * from unnest(types, lanes));
  insert into platform.subscriptions as s (event_type, consumer_group, lane, delay)
  select t, for_group, l, d from unnest(types, lanes, delays) as u (t, l, d)
      on conflict (event_type, consumer_group, lane) do update set delay = excluded.delay
      where s.delay <> excluded.delay;
$$;

create or replace function platform.subscribe(for_group text, types text[], lanes text[]) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select platform.subscribe(for_group, types, lanes, array_fill(interval '0', array[cardinality(types)]));
$$;

-- As before; an event may be due later. It is logged, and told to whoever listens, at once.
create function platform.emit(
  ids uuid[], types text[], versions int[], aggregate_types text[], keys uuid[], payloads text[],
  created_at timestamptz, actor text, dues timestamptz[]
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  org constant uuid := platform.current_org();
  many constant int := cardinality(ids);
  newest bigint;
  looked_at timestamptz;
begin
  update platform.org_cursor set value = value + many where org_id = org returning value into newest;
  if newest is null then
    raise exception 'emit outside of an organization' using errcode = 'OM002';
  end if;
  looked_at := clock_timestamp();
  insert into platform.event_log
    (org_id, cursor, id, type, version, aggregate_type, aggregate_id, payload, actor, created_at)
  select org, newest - many + e.n, e.id, e.type, e.version, e.aggregate_type, e.key, e.payload::json,
         emit.actor::json, emit.created_at
    from unnest(ids, types, versions, aggregate_types, keys, payloads) with ordinality
         as e (id, type, version, aggregate_type, key, payload, n);
  insert into platform.deliveries
    (org_id, cursor, consumer_group, lane, key, event_created_at, available_at, is_waiting)
  select org, newest - many + e.n, s.consumer_group, s.lane, e.key, emit.created_at,
         greatest(looked_at + s.delay, e.due), greatest(looked_at + s.delay, e.due) > looked_at
    from unnest(types, keys, dues) with ordinality as e (type, key, due, n)
    join platform.subscriptions s on s.event_type = e.type;
  return newest;
end $$;

create or replace function platform.emit(
  ids uuid[], types text[], versions int[], aggregate_types text[], keys uuid[], payloads text[],
  created_at timestamptz, actor text
) returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  select platform.emit(ids, types, versions, aggregate_types, keys, payloads, created_at, actor, '{}');
$$;

create or replace function platform.postpone(
  org uuid, at_cursor bigint, for_group text, for_lane text, token uuid,
  error text, pause interval, is_dead boolean
) returns void language sql volatile security definer set search_path = pg_catalog as $$
  update platform.deliveries
     set leased_until = null, lease_token = null, last_error = error,
         available_at = clock_timestamp() + pause, is_waiting = not is_dead,
         state = case when is_dead then 'dead' else 'ready' end
   where org_id = org and cursor = at_cursor and consumer_group = for_group and lane = for_lane
     and lease_token = token;
$$;

-- How long until something that waits is due; null when nothing waits. What is due already, and more than one
-- claim takes into the line, is due in a moment.
create function platform.due_in(for_group text, for_lane text) returns interval
language plpgsql volatile security definer set search_path = pg_catalog set enable_seqscan = off as $$
declare
  moment constant interval := '10 ms';
  looked_at constant timestamptz := clock_timestamp();
begin
  return (
    select greatest(next.available_at - looked_at, moment) from (
      select d.consumer_group, d.lane, d.available_at from platform.deliveries d
        join platform.org_placement p on p.org_id = d.org_id and p.state = 'active'
       where d.state = 'ready' and d.is_waiting
         and (d.consumer_group, d.lane, d.available_at) > (for_group, for_lane, '-infinity')
       order by d.consumer_group, d.lane, d.available_at limit 1) next
     where next.consumer_group = for_group and next.lane = for_lane);
end $$;

-- A place somewhere from `low` to `high`, so that what is too much to be looked at whole is looked at everywhere.
create function platform.anywhere(low uuid, high uuid) returns uuid
language plpgsql volatile set search_path = pg_catalog as $$
declare
  lowest constant text := replace(low::text, '-', '');
  highest constant text := replace(high::text, '-', '');
  shared int := 0;
  first bigint;
  last bigint;
begin
  while shared < 20 and substr(lowest, shared + 1, 1) = substr(highest, shared + 1, 1) loop
    shared := shared + 1;
  end loop;
  first := ('x' || substr(lowest, shared + 1, 12))::bit(48)::bigint;
  last := ('x' || substr(highest, shared + 1, 12))::bit(48)::bigint;
  first := first + floor(random() * (last - first))::bigint;
  return rpad(left(lowest, shared) || lpad(to_hex(first), 12, '0'), 32, md5(random()::text))::uuid;
end $$;

-- Whole rows are compared below, so that only the one index can serve: statistics of a table that is empty one
-- minute and full the next would lead to another that walks over everybody's backlog.

-- The organizations in a lane's line after one, at most so many.
create function platform.in_line(for_group text, for_lane text, after uuid, most int) returns setof uuid
language sql volatile set search_path = pg_catalog as $$
  with recursive line as (
    (select d.consumer_group, d.lane, d.org_id from platform.deliveries d
      where d.state = 'ready' and not d.is_waiting
        and (d.consumer_group, d.lane, d.org_id) > (for_group, for_lane, after)
      order by d.consumer_group, d.lane, d.org_id limit 1)
    union all
    select next.* from line, lateral (
      select d.consumer_group, d.lane, d.org_id from platform.deliveries d
       where d.state = 'ready' and not d.is_waiting
         and (d.consumer_group, d.lane, d.org_id) > (line.consumer_group, line.lane, line.org_id)
       order by d.consumer_group, d.lane, d.org_id limit 1) next
     where line.consumer_group = for_group and line.lane = for_lane
  )
  select line.org_id from line where line.consumer_group = for_group and line.lane = for_lane limit most
$$;

-- The same, at most so many; of more, those after a place that is another one each time.
create function platform.some_in_line(for_group text, for_lane text, most int) returns uuid[]
language plpgsql volatile set search_path = pg_catalog as $$
declare
  nobody constant uuid := '00000000-0000-0000-0000-000000000000';
  found uuid[] := array(select * from platform.in_line(for_group, for_lane, nobody, most + 1));
  last uuid;
begin
  if cardinality(found) <= most then
    return found;
  end if;
  select d.org_id into last from platform.deliveries d
   where d.state = 'ready' and not d.is_waiting
     and (d.consumer_group, d.lane) <= (for_group, for_lane)
   order by d.consumer_group desc, d.lane desc, d.org_id desc limit 1;
  last := platform.anywhere(found[1], last);
  return (array(select * from platform.in_line(for_group, for_lane, last, most)) || found)[1:most];
end $$;

-- The keys of an organization's deliveries after one, at most so many.
create function platform.keys_in_line(org uuid, for_group text, for_lane text, after uuid, most int)
returns setof uuid language sql volatile set search_path = pg_catalog as $$
  with recursive line as (
    (select d.org_id, d.consumer_group, d.lane, d.key from platform.deliveries d
      where d.state = 'ready' and (d.org_id, d.consumer_group, d.lane, d.key) > (org, for_group, for_lane, after)
      order by d.org_id, d.consumer_group, d.lane, d.key limit 1)
    union all
    select next.* from line, lateral (
      select d.org_id, d.consumer_group, d.lane, d.key from platform.deliveries d
       where d.state = 'ready'
         and (d.org_id, d.consumer_group, d.lane, d.key)
             > (line.org_id, line.consumer_group, line.lane, line.key)
       order by d.org_id, d.consumer_group, d.lane, d.key limit 1) next
     where line.org_id = org and line.consumer_group = for_group and line.lane = for_lane
  )
  select line.key from line
   where line.org_id = org and line.consumer_group = for_group and line.lane = for_lane limit most
$$;

-- What may be claimed of an organization although a hundred older ones can't be: of what has no key the oldest,
-- and the oldest of each key, or of some keys, those after one that is another one each time.
create function platform.heads(
  org uuid, for_group text, for_lane text, looked_at timestamptz, most int
) returns bigint[] language plpgsql volatile set search_path = pg_catalog as $$
declare
  nothing constant uuid := '00000000-0000-0000-0000-000000000000';
  keys uuid[] := array(select * from platform.keys_in_line(org, for_group, for_lane, nothing, most + 1));
begin
  if cardinality(keys) > most then
    keys := (array(select * from platform.keys_in_line(
      org, for_group, for_lane,
      platform.anywhere(keys[1], (
        select d.key from platform.deliveries d
         where d.state = 'ready' and d.key is not null
           and d.org_id = org and d.consumer_group = for_group and d.lane = for_lane
         order by d.key desc limit 1)), most)) || keys)[1:most];
  end if;
  return array(
    (select d.cursor from platform.deliveries d
      where d.org_id = org and d.consumer_group = for_group and d.lane = for_lane and d.state = 'ready'
        and d.key is null and not d.is_waiting and (d.leased_until is null or d.leased_until < looked_at)
      limit most)
    union all
    select head.cursor from unnest(keys) as one (key), lateral (
      select d.cursor, d.is_waiting, d.leased_until from platform.deliveries d
       where d.org_id = org and d.consumer_group = for_group and d.lane = for_lane and d.state = 'ready'
         and d.key = one.key and (not d.is_waiting or d.attempts > 0)
       order by d.key, d.cursor limit 1) head
     where not head.is_waiting and (head.leased_until is null or head.leased_until < looked_at));
end $$;

-- Lease those of the given deliveries that nobody has taken meanwhile, and that are the oldest of their key.
create function platform.lease(
  org uuid, for_group text, for_lane text, cursors bigint[], keys uuid[], at_most int,
  until timestamptz, token uuid, looked_at timestamptz
) returns bigint[] language plpgsql volatile set search_path = pg_catalog as $$
declare
  leased bigint[];
begin
  with due as (
    select d.cursor from unnest(cursors, keys) as w (cursor, key)
      join platform.deliveries d
        on d.org_id = org and d.cursor = w.cursor and d.consumer_group = for_group and d.lane = for_lane
     where d.state = 'ready' and not d.is_waiting and (d.leased_until is null or d.leased_until < looked_at)
       and exists (select from platform.org_placement p where p.org_id = org and p.state = 'active')
       and (w.key is null or not exists (
             select from platform.deliveries e
              where (e.org_id, e.consumer_group, e.lane, e.key, e.cursor)
                    >= (org, for_group, for_lane, w.key, 0::bigint)
                and (e.org_id, e.consumer_group, e.lane, e.key, e.cursor)
                    < (org, for_group, for_lane, w.key, w.cursor)
                and e.state = 'ready' and (not e.is_waiting or e.attempts > 0)))
     limit at_most for update of d skip locked
  ), taken as (
    update platform.deliveries d set leased_until = until, lease_token = token, attempts = d.attempts + 1
      from due
     where d.org_id = org and d.cursor = due.cursor and d.consumer_group = for_group and d.lane = for_lane
    returning d.cursor
  )
  select array_agg(taken.cursor) into leased from taken;
  return coalesce(leased, '{}');
end $$;

-- Claim for one organization, the oldest first. Only where it lives, and while nobody freezes it: it takes the
-- organization's lock before it looks, like every writing transaction does, and never waits for one.
create function platform.claim_of(
  org uuid, for_group text, for_lane text, at_most int, lease interval, token uuid, most_leased int,
  looked_at timestamptz
) returns bigint[] language plpgsql volatile set search_path = pg_catalog as $$
declare
  most constant int := 100;  -- of the oldest are looked at
  until constant timestamptz := clock_timestamp() + lease;
  seen int;
  leased int;
  wanted int;
  cursors bigint[];
  keys uuid[];
  taken bigint[];
begin
  if not pg_try_advisory_xact_lock_shared(hashtextextended(org::text, 0)) then
    return '{}';
  end if;
  select count(*), count(*) filter (where w.leased_until >= looked_at),
         array_agg(w.cursor) filter (where w.leased_until is null or w.leased_until < looked_at),
         array_agg(w.key) filter (where w.leased_until is null or w.leased_until < looked_at)
    into seen, leased, cursors, keys
    from (
      select d.consumer_group, d.lane, d.org_id, d.cursor, d.key, d.leased_until from platform.deliveries d
       where d.state = 'ready' and not d.is_waiting
         and (d.consumer_group, d.lane, d.org_id, d.cursor) > (for_group, for_lane, org, 0::bigint)
       order by d.consumer_group, d.lane, d.org_id, d.cursor limit most) w
   where w.consumer_group = for_group and w.lane = for_lane and w.org_id = org;
  wanted := least(at_most, most_leased - leased);
  if wanted <= 0 then
    return '{}';
  end if;
  taken := platform.lease(org, for_group, for_lane, cursors, keys, wanted, until, token, looked_at);
  if cardinality(taken) = 0 and seen = most then
    cursors := platform.heads(org, for_group, for_lane, looked_at, most);
    taken := platform.lease(org, for_group, for_lane, cursors, '{}', wanted, until, token, looked_at);
  end if;
  return taken;
end $$;

-- Let those into the line whose time has come, some at a time.
create function platform.line_up(for_group text, for_lane text, looked_at timestamptz) returns void
language plpgsql volatile set search_path = pg_catalog as $$
declare
  at_once constant int := 200;
  orgs uuid[];
  cursors bigint[];
  settled uuid[];
begin
  select array_agg(w.org_id), array_agg(w.cursor) into orgs, cursors from (
    select d.org_id, d.cursor from platform.deliveries d
     where d.state = 'ready' and d.is_waiting
       and (d.consumer_group, d.lane, d.available_at) > (for_group, for_lane, '-infinity')
       and (d.consumer_group, d.lane, d.available_at) <= (for_group, for_lane, looked_at)
       and exists (select from platform.org_placement p where p.org_id = d.org_id and p.state = 'active')
     order by d.consumer_group, d.lane, d.available_at limit at_once for update of d skip locked) w;
  if orgs is null then
    return;
  end if;
  settled := array(select o from (select distinct unnest(orgs) as o) one
                    where pg_try_advisory_xact_lock_shared(hashtextextended(o::text, 0)));
  update platform.deliveries d set is_waiting = false
    from unnest(orgs, cursors) as due (org_id, cursor)
   where d.org_id = due.org_id and d.cursor = due.cursor and d.consumer_group = for_group and d.lane = for_lane
     and d.org_id in (select p.org_id from platform.org_placement p
                       where p.org_id = any (settled) and p.state = 'active');
end $$;

-- The virtual time at which each organization's next delivery begins: where hers ended, or where the lane stands.
create function platform.virtual_times(for_group text, for_lane text, orgs uuid[]) returns bigint[]
language plpgsql volatile set search_path = pg_catalog as $$
declare
  lane_time bigint := (
    select s.virtual_time - 1 from platform.shares s where s.consumer_group = for_group and s.lane = for_lane
     order by s.consumer_group desc, s.lane desc, s.virtual_time desc limit 1);
begin
  return array(
    select greatest(lane_time, 0, (
             select s.virtual_time from platform.shares s
              where (s.consumer_group, s.lane, s.organization) >= (for_group, for_lane, o.id)
                and (s.consumer_group, s.lane, s.organization) <= (for_group, for_lane, o.id)))
      from unnest(orgs) with ordinality as o (id, place) order by o.place);
end $$;

-- Claim what is due for one consumer: from whoever has had the least, a unit of virtual time for each delivery,
-- and at most so many at once of each organization.
drop function platform.claim(text, text, int, interval, uuid);
create function platform.claim(
  for_group text, for_lane text, at_most int, lease interval, token uuid, most_leased int default 1000
) returns table (
  org_id uuid, cursor bigint, attempts int, id uuid, type text, payload text, created_at timestamptz
)
language plpgsql volatile security definer set search_path = pg_catalog set enable_seqscan = off as $$
#variable_conflict use_column
declare
  looked_at constant timestamptz := clock_timestamp();
  most_looked_at constant int := 100;
  orgs uuid[];
  begins bigint[];  -- the virtual time at which each organization's next delivery would begin
  times bigint[];   -- the same, going on; null once nothing more is to be had
  served int[];
  total int := 0;
  turn int;
  others bigint;
  wanted int;
  taken bigint[];
  claimed_orgs uuid[] := '{}';
  claimed bigint[] := '{}';
begin
  -- A lease that is lost in a crash costs an attempt that the fencing token ends, so none waits for the disk.
  perform set_config('synchronous_commit', 'off', true);
  perform platform.line_up(for_group, for_lane, looked_at);
  orgs := platform.some_in_line(for_group, for_lane, most_looked_at);
  if cardinality(orgs) = 0 then
    return;
  end if;
  begins := platform.virtual_times(for_group, for_lane, orgs);
  times := begins;
  served := array_fill(0, array[cardinality(orgs)]);
  while total < at_most loop
    select t.place, lead(t.time) over w into turn, others
      from unnest(times) with ordinality as t (time, place) where t.time is not null
    window w as (order by t.time, t.place) order by t.time, t.place limit 1;
    exit when turn is null;
    wanted := least(at_most - total, case when others is null then at_most else greatest(others - times[turn], 1) end);
    taken := platform.claim_of(
      orgs[turn], for_group, for_lane, wanted, lease, token, most_leased, looked_at);
    total := total + cardinality(taken);
    served[turn] := served[turn] + cardinality(taken);
    times[turn] := case when cardinality(taken) < wanted then null else times[turn] + wanted end;
    claimed := claimed || taken;
    claimed_orgs := claimed_orgs || array_fill(orgs[turn], array[cardinality(taken)]);
  end loop;
  if total = 0 then
    return;
  end if;
  insert into platform.shares as s
  select for_group, for_lane, o.id, o.begin + o.served, o.served, looked_at
    from unnest(orgs, begins, served) as o (id, begin, served) where o.served > 0 order by o.id
      on conflict (consumer_group, lane, organization) do update
     set virtual_time = greatest(excluded.virtual_time, s.virtual_time + excluded.deliveries),
         deliveries = s.deliveries + excluded.deliveries, served_at = excluded.served_at;
  return query
    select d.org_id, d.cursor, d.attempts, l.id, l.type, l.payload::text, l.created_at
      from unnest(claimed_orgs, claimed) as c (org_id, cursor)
      join platform.deliveries d
        on d.org_id = c.org_id and d.cursor = c.cursor and d.consumer_group = for_group and d.lane = for_lane
      join platform.event_log l
        on l.org_id = d.org_id and l.cursor = d.cursor and l.created_at = d.event_created_at
     order by d.cursor;
end $$;

-- What is known of organizations that haven't been served for long says nothing any more.
create function platform.forget_shares(after interval) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  delete from platform.shares where served_at < clock_timestamp() - after;
$$;

revoke execute on all functions in schema platform from public;
grant execute on function
  platform.emit(uuid[], text[], int[], text[], uuid[], text[], timestamptz, text, timestamptz[]),
  platform.claim(text, text, int, interval, uuid, int), platform.due_in(text, text),
  platform.subscribe(text, text[], text[], interval[]), platform.forget_shares(interval)
  to dana_service;
