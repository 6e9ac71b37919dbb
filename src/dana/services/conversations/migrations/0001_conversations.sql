-- Conversations: inboxes, contacts, conversations with their messages, and counters kept as rows.

create table conversations.inboxes (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  name text not null,
  channel text not null check (channel in ('web_widget')),
  public_key text not null,
  greeting text not null,
  is_assistant_enabled boolean not null,
  created_at timestamptz not null,
  primary key (org_id, id)
);

create table conversations.contacts (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  name text not null,
  email text,
  created_at timestamptz not null,
  primary key (org_id, id)
);

-- A copy of the organization's members, kept by their events: who may be assigned, and by what name.
create table conversations.agents (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  name text not null,
  role text not null,
  is_active boolean not null,
  primary key (org_id, id)
);

-- Every message changes last_activity_at, which is indexed, so no update is HOT; the free space in each
-- page still keeps the versions of a row together.
create table conversations.conversations (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  inbox_id uuid not null,
  contact_id uuid not null,
  status text not null check (status in ('open', 'pending', 'snoozed', 'resolved')),
  assignee_id uuid,
  assignee_name text,
  last_seq int not null,
  last_text text not null,
  last_author text check (last_author in ('customer', 'agent', 'assistant', 'system')),
  unread_count int not null check (unread_count >= 0),
  version int not null,
  turn int not null,
  asked_at timestamptz,            -- since when a question waits for the assistant; null: none does
  snoozed_until timestamptz,
  last_activity_at timestamptz not null,
  created_at timestamptz not null,
  start_key text,                  -- the idempotency key with which it was started
  primary key (org_id, id),
  foreign key (org_id, inbox_id) references conversations.inboxes,
  foreign key (org_id, contact_id) references conversations.contacts,
  check ((status = 'snoozed') = (snoozed_until is not null)),
  check (asked_at is null or status = 'pending')
) with (fillfactor = 85);

create index conversations_by_activity on conversations.conversations (org_id, last_activity_at, id);
create index conversations_by_status on conversations.conversations (org_id, status, last_activity_at, id);
create index conversations_by_inbox on conversations.conversations (org_id, inbox_id, last_activity_at, id);
create index conversations_by_assignee on conversations.conversations (org_id, assignee_id, last_activity_at, id)
  where assignee_id is not null;
create index conversations_snoozed on conversations.conversations (snoozed_until) where status = 'snoozed';
create index conversations_asked on conversations.conversations (asked_at) where asked_at is not null;
create unique index conversations_start_key on conversations.conversations (org_id, inbox_id, start_key)
  where start_key is not null;

-- Messages are written only under their conversation's lock, so a foreign key would cost and check nothing.
create table conversations.messages (
  org_id uuid not null default platform.current_org(),
  id uuid not null,
  conversation_id uuid not null,
  seq int not null check (seq > 0),
  author text not null check (author in ('customer', 'agent', 'assistant', 'system')),
  author_id uuid,
  author_name text not null,
  text text not null,
  is_private boolean not null,
  created_at timestamptz not null,
  action text check (action in ('reply', 'clarify', 'hand_over')),
  citations json not null default '[]',
  idempotency_key text,
  primary key (org_id, id)
);

create unique index messages_in_order on conversations.messages (org_id, conversation_id, seq);
create unique index messages_once on conversations.messages (org_id, conversation_id, idempotency_key)
  where idempotency_key is not null;

-- One row per organization, so that no list ever counts rows.
create table conversations.counts (
  org_id uuid not null default platform.current_org() primary key,
  open bigint not null default 0 check (open >= 0),
  pending bigint not null default 0 check (pending >= 0),
  snoozed bigint not null default 0 check (snoozed >= 0),
  resolved bigint not null default 0 check (resolved >= 0),
  unread bigint not null default 0 check (unread >= 0)
) with (fillfactor = 50);

-- The hot path in one statement: lock a conversation and, where nothing but its end changes, append the
-- message at once. The caller says in which state that is so; in any other state the conversation is
-- only locked, and the caller goes on by its rules. Returned is the conversation as it was before.
-- It locks, and only then looks for the key: a statement that did both at once would, after waiting for
-- the lock, still see the messages as they were before, and miss the first of two equal keys.
create function conversations.lock_to_write(
  wanted uuid, key text, message_id uuid, author text, author_id uuid, author_name text, body text,
  is_private boolean, written_at timestamptz, preview text,
  plain_statuses text[], plain_assigned boolean, plain_unread boolean, unread_more int
) returns table (
  id uuid, inbox_id uuid, status text, assignee_id uuid, assignee_name text, last_seq int, last_text text,
  last_author text, unread_count int, version int, turn int, asked_at timestamptz,
  snoozed_until timestamptz, last_activity_at timestamptz, created_at timestamptz,
  contact_id uuid, contact_name text, contact_email text, contact_created_at timestamptz,
  is_assistant_enabled boolean, repeated_seq int, is_saved boolean
) language plpgsql volatile as $$
declare
  c conversations.conversations;
  repeated int;
  is_plain boolean;
begin
  select * into c from conversations.conversations f
    where f.org_id = platform.current_org() and f.id = wanted for no key update;
  if c.id is null then
    return;
  end if;
  if key is not null then
    repeated := (select m.seq from conversations.messages m
      where m.org_id = c.org_id and m.conversation_id = wanted and m.idempotency_key = key);
  end if;
  is_plain := repeated is null and c.status = any (plain_statuses)
    and (c.assignee_id is not null or not plain_assigned) and (c.unread_count > 0) = plain_unread;
  if is_plain then
    update conversations.conversations f
       set last_seq = c.last_seq + 1, version = c.version + 1, unread_count = c.unread_count + unread_more,
           last_text = coalesce(preview, c.last_text),
           last_author = case when preview is null then c.last_author else lock_to_write.author end,
           last_activity_at = greatest(c.last_activity_at, written_at)
     where f.org_id = c.org_id and f.id = wanted;
    insert into conversations.messages
      (org_id, id, conversation_id, seq, author, author_id, author_name, text, is_private, created_at,
       idempotency_key)
    values (c.org_id, message_id, wanted, c.last_seq + 1, author, author_id, author_name, body, is_private,
            greatest(c.last_activity_at, written_at), key);
  end if;
  return query
    select c.id, c.inbox_id, c.status, c.assignee_id, c.assignee_name, c.last_seq, c.last_text,
           c.last_author, c.unread_count, c.version, c.turn, c.asked_at,
           c.snoozed_until, c.last_activity_at, c.created_at,
           p.id, p.name, p.email, p.created_at, i.is_assistant_enabled, repeated, is_plain
      from conversations.contacts p, conversations.inboxes i
     where p.org_id = c.org_id and p.id = c.contact_id and i.org_id = c.org_id and i.id = c.inbox_id;
end $$;

-- Find the conversation started with a key; whoever starts one with the same key waits here.
create function conversations.lock_start(inbox uuid, key text) returns uuid
language plpgsql volatile as $$
begin
  perform pg_advisory_xact_lock(hashtext('conversations.start'), hashtext(inbox::text || key));
  return (select c.id from conversations.conversations c
           where c.org_id = platform.current_org() and c.inbox_id = inbox and c.start_key = key);
end $$;

-- What the clock must wake, over all organizations: ids only, so it may look past row-level security.
create function conversations.due(asked_before timestamptz, at_most int)
returns table (org_id uuid, id uuid)
language sql stable security definer set search_path = pg_catalog as $$
  (select c.org_id, c.id from conversations.conversations c
    where c.status = 'snoozed' and c.snoozed_until <= now() order by c.snoozed_until limit at_most)
  union all
  (select c.org_id, c.id from conversations.conversations c
    where c.asked_at is not null and c.asked_at <= asked_before order by c.asked_at limit at_most)
$$;

revoke execute on all functions in schema conversations from public;
grant execute on all functions in schema conversations to dana_conversations;

select platform.protect('conversations.inboxes');
select platform.protect('conversations.contacts');
select platform.protect('conversations.agents');
select platform.protect('conversations.conversations');
select platform.protect('conversations.messages');
select platform.protect('conversations.counts');

-- Lets the function above see every organization where its owner is no superuser, as with hosted databases.
create policy clock on conversations.conversations for select to current_user using (true);
