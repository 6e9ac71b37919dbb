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
language plpgsql stable security definer set search_path = pg_catalog
set enable_seqscan = off set enable_sort = off as $$
#variable_conflict use_column
begin
  return query
    with oldest as (
      select d.org_id, d.cursor from platform.deliveries d
       where d.consumer_group = 'relay'
         and exists (select from platform.org_placement p where p.org_id = d.org_id and p.state = 'active')
       order by d.available_at limit at_most
    ), heads as materialized (
      -- Times are no order: servers have clocks of their own, and organizations move between them.
      select o.org_id, max(o.cursor) as newest from oldest o group by o.org_id
    ), theirs as materialized (
      select h.org_id, d.cursor, d.event_created_at
        from heads h
        cross join lateral (
          select r.cursor, r.event_created_at from platform.deliveries r
           where r.org_id = h.org_id and r.cursor <= h.newest and r.consumer_group = 'relay'
           order by r.cursor limit 2 * at_most) d
       order by h.org_id, d.cursor limit 2 * at_most
    )
    -- Step by step, whatever the planner believes of tables that are empty one minute and full the next. What
    -- the log doesn't have any more comes without a type.
    select t.org_id, t.cursor, l.id, l.type, l.aggregate_id, l.payload, l.created_at
      from theirs t
      left join lateral (
        select e.id, e.type, e.aggregate_id, e.payload::text as payload, e.created_at from platform.event_log e
         where e.org_id = t.org_id and e.cursor = t.cursor and e.created_at = t.event_created_at
         limit 1) l on true
     order by t.org_id, t.cursor;
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
  delete from platform.deliveries d where d.ctid = any (array(
    select r.ctid from unnest(orgs, cursors) as p (org, at_cursor)
     cross join lateral (
       select one.ctid from platform.deliveries one
        where one.org_id = p.org and one.cursor = p.at_cursor and one.consumer_group = 'relay'
        limit 1) r
     where p.org = any (settled)));
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
