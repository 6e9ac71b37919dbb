-- How busy each organization is, as sampled by the job.

create table placement.loads (
  org_id uuid primary key,
  shard text not null,               -- where it was sampled last
  cursor bigint not null,            -- its newest event then
  events_per_hour double precision not null,  -- a moving average over about an hour
  size_bytes bigint not null,        -- its share of the shard's database, by its share of the events
  sampled_at timestamptz not null
);
create index loads_of_shard on placement.loads (shard);

select platform.grant_table('placement.loads');
