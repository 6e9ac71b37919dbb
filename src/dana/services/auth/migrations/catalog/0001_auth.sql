-- People, organizations, and who belongs where. One person has one password and any number of memberships.

create table auth.users (
  id uuid primary key,
  email text not null unique,        -- folded to lower case by the application
  password_hash text not null,       -- argon2id
  created_at timestamptz not null default now()
);

create table auth.organizations (
  id uuid primary key references platform.organizations (id),
  name text not null,
  announced_at timestamptz,          -- null: its shard has not heard of it yet
  created_at timestamptz not null default now()
);
create index organizations_unannounced on auth.organizations (id) where announced_at is null;

-- The name stands here, not at the user: an organization may rename its own members only.
create table auth.memberships (
  org_id uuid not null references auth.organizations (id),
  user_id uuid not null references auth.users (id),
  name text not null,
  role text not null check (role in ('owner', 'admin', 'agent')),
  is_active boolean not null default true,
  version int not null default 1,            -- grows with every change
  announced_version int not null default 0,  -- the newest version that the shard has heard of
  signed_in_at timestamptz not null default now(),
  joined_at timestamptz not null default now(),
  primary key (org_id, user_id)
);
create index memberships_of_user on auth.memberships (user_id);
create index memberships_unannounced on auth.memberships (org_id) where announced_version < version;

-- A session is one family of refresh tokens. A token is computed from the installation's key, the id, the
-- generation and the seed, so these rows alone can't make one.
create table auth.sessions (
  id uuid primary key,
  org_id uuid not null,
  user_id uuid not null,
  seed bytea not null,
  generation int not null default 0,
  rotated_at timestamptz not null default now(),
  expires_at timestamptz not null,   -- moves with every rotation
  ends_at timestamptz not null,      -- never moves
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  foreign key (org_id, user_id) references auth.memberships (org_id, user_id)
);
create index sessions_of_user on auth.sessions (user_id) where revoked_at is null;
create index sessions_expiry on auth.sessions (expires_at);

create table auth.invitations (
  id uuid primary key,
  org_id uuid not null references auth.organizations (id),
  email text not null,
  role text not null check (role in ('owner', 'admin', 'agent')),
  seed bytea not null,
  invited_by uuid not null,
  expires_at timestamptz not null,
  accepted_at timestamptz,
  created_at timestamptz not null default now()
);
create unique index invitations_open on auth.invitations (org_id, email) where accepted_at is null;
create index invitations_expiry on auth.invitations (expires_at);

-- Failed sign-ins. The key is a digest of an address, an e-mail address or both; it names nobody.
create table auth.attempts (
  key bytea primary key,
  attempts int not null,
  window_ends_at timestamptz not null
);
create index attempts_expiry on auth.attempts (window_ends_at);

select platform.grant_table('auth.users');
select platform.grant_table('auth.organizations');
select platform.grant_table('auth.memberships');
select platform.grant_table('auth.sessions');
select platform.grant_table('auth.invitations');
select platform.grant_table('auth.attempts');
