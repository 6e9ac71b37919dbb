-- As before, but what is meant for later is not old before it is due.
create or replace function platform.backlog() returns table (
  consumer_group text, lane text, state text, deliveries bigint, oldest_seconds double precision
)
language sql stable security definer set search_path = pg_catalog as $$
  select d.consumer_group, d.lane, d.state, count(*),
         greatest(0, extract(epoch from clock_timestamp()
           - min(case when d.attempts = 0 then d.available_at else d.event_created_at end)))::double precision
    from platform.deliveries d
    join platform.org_placement p on p.org_id = d.org_id and p.state = 'active'
   group by 1, 2, 3;
$$;
