-- The hot path in one statement: lock a conversation and, where nothing but its end changes, append the
-- message at once. The caller says in which state that is so; in any other state the conversation is
-- only locked, and the caller goes on by its rules. Returned is the conversation as it was before.

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

revoke execute on all functions in schema conversations from public;
grant execute on all functions in schema conversations to dana_conversations;
