-- Search of messages, and lists that stay on an index whatever their filter.

-- Each list is one range of one of these, or one range for each status, merged: never a walk past rows that
-- the filter leaves out. Every message rewrites a conversation's entry in each index, so there are no more of
-- them than before. The former indexes go at once: without them an older process is slow, but not wrong.
create index conversations_in_inbox on conversations.conversations
  (org_id, inbox_id, status, last_activity_at, id);
create index conversations_assigned on conversations.conversations
  (org_id, assignee_id, status, last_activity_at, id) where assignee_id is not null;
create index conversations_assigned_in_inbox on conversations.conversations
  (org_id, assignee_id, inbox_id, status, last_activity_at, id) where assignee_id is not null;
drop index conversations.conversations_by_activity;
drop index conversations.conversations_by_inbox;
drop index conversations.conversations_by_assignee;

-- By which numbers a message is found: the beginnings of its words (models/finding.py), and the windows that
-- its cursor lies in. Null: not known, as with messages that were written before; a job makes up for it.
alter table conversations.messages
  add column cursor bigint,       -- the organization's cursor when it was written
  add column search_keys int[];

-- New entries go to the index's pending list, which costs a tenth of sorting them in one by one. A job sorts
-- them in every other second, so that the list stays short for those who search and no writer has to do it.
create index messages_search on conversations.messages using gin (search_keys)
  with (fastupdate = on, gin_pending_list_limit = 16384)
  where search_keys is not null;
create index messages_unsearchable on conversations.messages (org_id, id) where search_keys is null;

-- A window is a run of 64, 4,096 or 262,144 consecutive cursors of one organization. Each event takes a cursor,
-- so no window holds more messages than that. CRC-32, because it is the same on every server of any version.
create function conversations.window_key(org uuid, bits int, number bigint) returns int
language sql immutable parallel safe
return ((crc32(uuid_send(org) || int8send((number << 8) | bits)) # 2147483648) - 2147483648)::int;

create function conversations.window_keys(org uuid, cursor bigint) returns int[]
language sql immutable parallel safe
return array[conversations.window_key(org, 6, cursor >> 6),
             conversations.window_key(org, 12, cursor >> 12),
             conversations.window_key(org, 18, cursor >> 18)];

-- Find the newest messages that have all the wanted keys, from before a place in the order of (cursor, id).
--
-- It reads window by window, from the newest. When a window holds more than a hundred, a smaller one is read
-- instead; when it holds nearly none, the next one is larger. So a step reads at most a hundred rows and, of
-- each key, 262,144 entries of the index. When the page is full or the patience over, the last row is no hit:
-- it says from before which place to go on. It is missing where there is nothing older.
--
-- Under row-level security the index could not be used: the comparison of arrays is not marked as leakproof,
-- so it would have to wait until the policy has let a row pass. So this looks past the policy and asks for the
-- organization itself, by the key of the window and, as different keys may share a number, of each row.
create function conversations.search(
  wanted int[], before_cursor bigint, before_id uuid, at_most int, patience interval
) returns table (cursor bigint, id uuid, is_hit boolean)
language plpgsql stable security definer
set search_path = pg_catalog set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  org constant uuid := platform.current_org();
  last_id constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  deadline constant timestamptz := clock_timestamp() + patience;
  most constant int := 100;
  bits constant int[] := array[6, 12, 18];
  size int := 1;
  crowded bigint[] := array[-1, -1, -1];  -- of each size, the window that was given up for smaller ones
  below bigint := coalesce(before_cursor, (select c.value from platform.org_cursor c where c.org_id = org));
  below_id uuid := coalesce(before_id, last_id);
  left_over int := at_most;
  number bigint;
  cursors bigint[];
  ids uuid[];
begin
  while below >= 0 loop
    number := below >> bits[size];
    select coalesce(array_agg(f.cursor), '{}'), coalesce(array_agg(f.id), '{}') into cursors, ids from (
      select h.cursor, h.id from (
        select m.cursor, m.id from conversations.messages m
         where m.search_keys @> array[conversations.window_key(org, bits[size], number)]
           and m.search_keys @> wanted
           and m.org_id is not distinct from org
           and m.cursor >= number << bits[size] and (m.cursor, m.id) < (below, below_id)
         limit case when size > 1 then most + 1 end) h
       order by h.cursor desc, h.id desc) f;
    if size > 1 and cardinality(ids) > most then
      crowded[size] := number;
      size := size - 1;
      continue;
    end if;
    return query select u.cursor, u.id, true from unnest(cursors, ids) as u (cursor, id) limit left_over;
    if cardinality(ids) >= left_over then
      return query select cursors[left_over], ids[left_over], false;
      return;
    end if;
    left_over := left_over - cardinality(ids);
    below := (number << bits[size]) - 1;
    below_id := last_id;
    if size < 3 and cardinality(ids) <= 1 and crowded[size + 1] <> below >> bits[size + 1] then
      size := size + 1;
    end if;
    if clock_timestamp() > deadline then
      return query select below, last_id, false where below >= 0;
      return;
    end if;
  end loop;
end $$;

-- Sort in what the index has put off.
create function conversations.tidy_search() returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  select gin_clean_pending_list('conversations.messages_search')
$$;

-- Name messages whose keys are not known, over all organizations that live here: ids only.
create function conversations.unsearchable(at_most int) returns table (org_id uuid, id uuid)
language sql stable security definer set search_path = pg_catalog as $$
  select m.org_id, m.id from conversations.messages m
   where m.search_keys is null
     and exists (select from platform.org_placement p where p.org_id = m.org_id and p.state = 'active')
   order by m.org_id, m.id limit at_most
$$;

-- As before, but only of organizations that live here: what a move leaves behind must not be woken.
create or replace function conversations.due(asked_before timestamptz, at_most int)
returns table (org_id uuid, id uuid)
language sql stable security definer set search_path = pg_catalog as $$
  (select c.org_id, c.id from conversations.conversations c
    where c.status = 'snoozed' and c.snoozed_until <= now()
      and exists (select from platform.org_placement p where p.org_id = c.org_id and p.state = 'active')
    order by c.snoozed_until limit at_most)
  union all
  (select c.org_id, c.id from conversations.conversations c
    where c.asked_at is not null and c.asked_at <= asked_before
      and exists (select from platform.org_placement p where p.org_id = c.org_id and p.state = 'active')
    order by c.asked_at limit at_most)
$$;

-- As before, with the keys by which the message is found. The first message of a conversation is also found by
-- its contact, whom only the rules know: it is never plain. The former function stays for processes that still
-- call it; the job makes up for what they write.
create function conversations.lock_to_write(
  wanted uuid, key text, message_id uuid, author text, author_id uuid, author_name text, body text,
  is_private boolean, written_at timestamptz, preview text, found_by int[],
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
  is_plain := repeated is null and c.last_seq > 0 and c.status = any (plain_statuses)
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
       idempotency_key, cursor, search_keys)
    select c.org_id, message_id, wanted, c.last_seq + 1, author, author_id, author_name, body, is_private,
           greatest(c.last_activity_at, written_at), key, o.value,
           found_by || conversations.window_keys(c.org_id, o.value)
      from platform.org_cursor o where o.org_id = c.org_id;
  end if;
  return query
    select c.id, c.inbox_id, c.status, c.assignee_id, c.assignee_name, c.last_seq, c.last_text,
           c.last_author, c.unread_count, c.version, c.turn, c.asked_at,
           c.snoozed_until, c.last_activity_at, c.created_at,
           p.id, p.name, p.email, p.created_at, i.is_assistant_enabled, repeated, is_plain
      from conversations.contacts p, conversations.inboxes i
     where p.org_id = c.org_id and p.id = c.contact_id and i.org_id = c.org_id and i.id = c.inbox_id;
end $$;

revoke execute on all functions in schema conversations from public;
grant execute on all functions in schema conversations to dana_conversations;

-- Let the functions above see every organization where their owner is no superuser, as with hosted databases.
create policy search on conversations.messages for select to current_user using (true);
