-- For organizations with thousands of members: what is listed page by page is read in the order it is listed
-- in, and whether another owner is left is no walk through all members.
create index invitations_waiting on auth.invitations (org_id, id) where accepted_at is null;
create index memberships_of_owners on auth.memberships (org_id, user_id) where role = 'owner' and is_active;
create index memberships_to_announce on auth.memberships (org_id, user_id) where announced_version < version;
drop index auth.memberships_unannounced;
