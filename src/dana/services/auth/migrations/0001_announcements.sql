-- What this shard has been told about the organization (id = its own) and its members (id = the user's).
-- The row and the event commit together, so that a repeated announcement says nothing twice, and a late one
-- never takes back a newer one.

create table auth.announcements (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  version int not null,
  primary key (org_id, id)
);
select platform.protect('auth.announcements');
