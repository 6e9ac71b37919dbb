-- Replays that aren't at their end yet: asked for again, each goes on where it stood.
create table platform.replays (
  org_id uuid not null,
  consumer_group text not null,
  scope text not null,               -- what is replayed, as it was asked for
  up_to bigint not null,             -- the organization's cursor when it began; later events come by themselves
  after_key uuid,                    -- the last key of which everything is due again
  after_cursor bigint not null default 0,  -- the same, of what has no key
  deliveries bigint not null default 0,
  advanced_at timestamptz not null default clock_timestamp(),
  primary key (org_id, consumer_group, scope)
);
