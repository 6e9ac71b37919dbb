-- What brings committed events to a broker, where there is one: the relay, a consumer of every type of event
-- whose deliveries (group `relay`) are read in order, published, and only then deleted.

-- Like `subscribe`, but it takes nothing away: while an installation is upgraded, an older relay knows fewer
-- types than the services beside it.
create function platform.relay_types(types text[]) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  insert into platform.subscriptions (event_type, consumer_group, lane)
  select t, 'relay', 'live' from unnest(types) as t
      on conflict do nothing;
$$;

create index deliveries_relay on platform.deliveries (org_id, cursor) where consumer_group = 'relay';
create index deliveries_relay_due on platform.deliveries (available_at) where consumer_group = 'relay';

-- The oldest events that are not yet published, in the order of cursors within each organization, and of each
-- organization without a gap from its oldest one on. Organizations that are closed, or have moved, wait.
create function platform.relay_batch(at_most int) returns table (
  org_id uuid, cursor bigint, id uuid, type text, key uuid, payload text, created_at timestamptz
)
language plpgsql stable security definer set search_path = pg_catalog set enable_seqscan = off as $$
#variable_conflict use_column
begin
  return query
    with oldest as (
      select d.org_id, d.cursor from platform.deliveries d
       where d.consumer_group = 'relay'
         and exists (select from platform.org_placement p where p.org_id = d.org_id and p.state = 'active')
       order by d.available_at limit at_most
    ), heads as (
      -- Times are no order: servers have clocks of their own, and organizations move between them.
      select o.org_id, max(o.cursor) as newest from oldest o group by o.org_id
    )
    select l.org_id, l.cursor, l.id, l.type, l.aggregate_id, l.payload::text, l.created_at
      from heads h
      join platform.deliveries d
        on d.org_id = h.org_id and d.cursor <= h.newest and d.consumer_group = 'relay'
      join platform.event_log l
        on l.org_id = d.org_id and l.cursor = d.cursor and l.created_at = d.event_created_at
     order by l.org_id, l.cursor
     limit 2 * at_most;
end $$;

-- These have been published. An organization that is being closed keeps its deliveries, and they travel with
-- it: its events are then published twice, and whoever reads them leaves out what they have.
create function platform.relayed(orgs uuid[], cursors bigint[]) returns int
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  settled uuid[];
  many int;
begin
  select array_agg(o) into settled from (select distinct unnest(orgs) as o) one
   where pg_try_advisory_xact_lock_shared(hashtextextended(o::text, 0));
  select array_agg(p.org_id) into settled from platform.org_placement p
   where p.org_id = any (settled) and p.state = 'active';
  delete from platform.deliveries d using unnest(orgs, cursors) as p (org, at_cursor)
   where d.org_id = p.org and d.cursor = p.at_cursor and d.consumer_group = 'relay'
     and d.org_id = any (settled);
  get diagnostics many = row_count;
  return many;
end $$;

-- There is no broker any more: nothing is kept for it. Returns how many went, of at most so many.
create function platform.forget_relay(at_most int) returns int
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  orgs uuid[];
  cursors bigint[];
begin
  if not pg_try_advisory_xact_lock(hashtextextended('dana.relay', 0)) then
    return 0;  -- somebody has a broker
  end if;
  delete from platform.subscriptions where consumer_group = 'relay';
  select array_agg(d.org_id), array_agg(d.cursor) into orgs, cursors from (
    select o.org_id, o.cursor from platform.deliveries o
     where o.consumer_group = 'relay'
       and exists (select from platform.org_placement p where p.org_id = o.org_id and p.state = 'active')
     limit at_most) d;
  return platform.relayed(orgs, cursors);
end $$;

revoke execute on function platform.relay_types(text[]), platform.relay_batch(int),
  platform.relayed(uuid[], bigint[]), platform.forget_relay(int) from public;
grant execute on function platform.relay_types(text[]), platform.relay_batch(int),
  platform.relayed(uuid[], bigint[]), platform.forget_relay(int) to dana_service;
