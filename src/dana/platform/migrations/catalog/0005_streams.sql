-- How far each durable reader of the broker's streams has come, written in the transaction of its effects:
-- its place in each partition, and the newest event it has of each organization, by which it knows doubles.

create table platform.stream_offsets (
  reader text not null,
  partition int not null,
  next_offset bigint not null,
  updated_at timestamptz not null default now(),
  primary key (reader, partition)
);

create table platform.stream_cursors (
  reader text not null,
  org_id uuid not null,
  cursor bigint not null,
  primary key (reader, org_id)
) with (fillfactor = 70);

grant select, insert, update, delete on platform.stream_offsets, platform.stream_cursors to dana_service;
