# ruff: noqa: S608 - statements are built from constants only
"""The SQL of the crowd: what each conversation's number stands for."""

import time
from uuid import UUID

INBOXES = 5  # of the big organization; a small one has one
AGENTS = 40
SMALL_AGENTS = 3
PHRASES = 5_000
MARKED = 5  # phrases with a place of their own: nothing, two footers, a word there is once, and a rare one
FACES = 5_000
SPAN_MS = 2 * 365 * 24 * 3600 * 1000
PAUSE_MS = 90_000  # between two messages
CURSORS_EACH = 7  # of each conversation: as many events as five messages have at least
FIRST_NUMBER = 1_000_000  # of e-mail addresses and orders: all have seven digits
FIRST_ORDER = 5_000_000
BORN_MS = 1_700_000_000_000
FIRST_ORGANIZATION = (BORN_MS << 80) + (7 << 76) + (8 << 60)

SCHEMA = """
  set client_min_messages = warning;
  drop schema if exists crowd cascade;
  create schema crowd;
  create table crowd.organizations_given (n int, org_id uuid, key_range int);
  create table crowd.phrases_given (id int, text text, keys int[]);
  create table crowd.faces_given (id int, name text, box text, keys int[]);
  create function crowd.chance(number bigint, salt int) returns int language sql immutable
    return hashint8(number * 16 + salt) & 2147483647;
  create function crowd.id(moment bigint, kind int, number bigint) returns uuid language sql immutable
    return ('0' || to_hex(moment) || '7000'
      || to_hex((-9223372036854775808)::bigint + (kind::bigint << 48) + number))::uuid;
  create function crowd.key(key_range int, digits text) returns int language sql immutable
    return key_range # (crc32(digits::bytea) & 4194303)::int;
  create function crowd.number_keys(key_range int, digits text) returns int[] language sql immutable
    return array[crowd.key(key_range, left(digits, 4)), crowd.key(key_range, left(digits, 5)),
                 crowd.key(key_range, digits)];
"""


def organizations(conversations: int, inbox_id: UUID, agent_id: UUID) -> str:
    """Make the organizations, of which number 0 is the big one, and what there is little of."""
    own_inbox = f"case when n = 0 and k = 0 then '{inbox_id}' else crowd.id({BORN_MS}, 1, n * 64 + k) end"
    own_agent = f"case when n = 0 and k = 1 then '{agent_id}' else crowd.id({BORN_MS}, 2, n * 64 + k) end"
    share = f"{conversations} / 2 / case n when 0 then 1 else {_SMALL} end"
    ranges = "(select distinct key_range from crowd.organizations)"
    own_range = "(select key_range from crowd.organizations where n = 0)"
    return f"""
  create table crowd.organizations as
    select n, org_id, key_range, {share} + 1 as share,
           array(select {own_inbox} from generate_series(0, case n when 0 then {INBOXES - 1} else 0 end) k)
             as inboxes,
           array(select {own_agent}
                   from generate_series(1, case n when 0 then {AGENTS} else {SMALL_AGENTS} end) k) as agents
      from crowd.organizations_given;
  create table crowd.phrases as
    select r.key_range, id, text, array(select r.key_range # k # own.bits from unnest(keys) k) as keys
      from crowd.phrases_given, {ranges} r, {own_range} own (bits);
  create table crowd.faces as
    select r.key_range, id, name, box, array(select r.key_range # k # own.bits from unnest(keys) k) as keys
      from crowd.faces_given, {ranges} r, {own_range} own (bits);
  create unique index on crowd.organizations (n);
  create unique index on crowd.phrases (key_range, id);
  create unique index on crowd.faces (key_range, id);
  analyze crowd.organizations, crowd.phrases, crowd.faces;

  insert into platform.org_placement (org_id, epoch, state)
    select org_id, 1, 'active' from crowd.organizations on conflict do nothing;
  insert into platform.org_cursor as c (org_id, value)
    select org_id, share * {CURSORS_EACH} + 100 from crowd.organizations
        on conflict (org_id) do update set value = greatest(c.value, excluded.value);
  insert into conversations.inboxes
    (org_id, id, name, channel, public_key, greeting, is_assistant_enabled, created_at)
    select org_id, inbox, 'Inbox', 'web_widget', 'inbox_' || inbox, '', false, now()
      from crowd.organizations, unnest(inboxes) inbox on conflict do nothing;
  insert into conversations.agents (org_id, id, name, role, is_active)
    select org_id, agent, 'Agent', 'agent', true
      from crowd.organizations, unnest(agents) agent on conflict do nothing;
"""


def numbered(conversations: int) -> str:
    """Say what each conversation's number stands for."""
    newest = (int(time.time()) - 3600) * 1000
    return f"""
  create view crowd.conversations as
    select i, many, started, cursor, o.n, org_id, key_range, crowd.id(started, 3, i) as id,
           crowd.id(started, 4, i) as contact_id, crowd.chance(i, 1) % {FACES} as face,
           inboxes[1 + crowd.chance(i, 2) % cardinality(inboxes)] as inbox_id,
           agents[1 + crowd.chance(i, 3) % cardinality(agents)] as agent_id,
           case when i > {conversations} * 0.98 and crowd.chance(i, 4) % 6 < 5
                then (array['open', 'open', 'open', 'pending', 'snoozed'])[1 + crowd.chance(i, 4) % 6]
                when crowd.chance(i, 4) % 300 = 0 then 'open'
                else 'resolved' end as status
      from (select i, ((i / 2 + i / 6000) % 5 + 1)::int as many,
                   {newest} - ({conversations} - i) * {SPAN_MS // conversations} as started,
                   case i % 2 when 0 then i / 2 else i / 2 / small.many end * {CURSORS_EACH} as cursor,
                   case i % 2 when 0 then 0 else i / 2 % small.many + 1 end as n
              from generate_series(1, {conversations}::bigint) i, {_SMALL} small (many)) c
      join crowd.organizations o on o.n = c.n;

  create function crowd.second_phrase(i bigint, seq int) returns int language sql immutable return case
    when i = 2 and seq = 1 then 3
    when i % {conversations // 10} = 0 and seq = 1 then 4
    when crowd.chance(i * 8 + seq, 6) % 20 < 2 then 2 - seq % 2
    when crowd.chance(i * 8 + seq, 6) % 20 < 5
    then {MARKED} + crowd.chance(i * 8 + seq, 7) % {PHRASES - MARKED}
    else 0 end;
"""


_SMALL = "(select max(n) from crowd.organizations_given)"
_SAID = f"""
  join crowd.phrases p on p.key_range = c.key_range
   and p.id = {MARKED} + crowd.chance(i * 8 + seq, 8) % {PHRASES - MARKED}
  join crowd.phrases q on q.key_range = c.key_range and q.id = crowd.second_phrase(i, seq)
"""
_TEXT = f"concat_ws(' ', p.text, nullif(q.text, ''), case i % 8 when 0 then {FIRST_ORDER} + i end)"

CONTACTS = f"""
  insert into conversations.contacts (org_id, id, name, email, created_at)
  select org_id, contact_id, f.name, f.box || '.' || {FIRST_NUMBER} + i || '@shop.test',
         to_timestamp(started / 1e3)
    from crowd.conversations c join crowd.faces f on f.key_range = c.key_range and f.id = c.face
"""

CONVERSATIONS = f"""
  insert into conversations.conversations
    (org_id, id, inbox_id, contact_id, status, assignee_id, assignee_name, last_seq, last_text, last_author,
     unread_count, version, turn, snoozed_until, last_activity_at, created_at)
  select org_id, c.id, inbox_id, contact_id, status, a.assignee_id,
         case when a.assignee_id is not null then 'Agent' end, many, {_TEXT},
         case seq % 2 when 1 then 'customer' else 'agent' end,
         case when status = 'open' and seq % 2 = 1 then 1 else 0 end, many, 0,
         case status when 'snoozed' then now() + interval '1 day' * (1 + i % 30) end,
         to_timestamp((started + seq * {PAUSE_MS}) / 1e3), to_timestamp(started / 1e3)
    from crowd.conversations c
   cross join lateral (select many as seq, case when status <> 'pending' and crowd.chance(i, 5) % 5 > 0
                                                then agent_id end as assignee_id) a
   {_SAID}
"""

MESSAGES = f"""
  insert into conversations.messages
    (org_id, id, conversation_id, seq, author, author_id, author_name, text, is_private, created_at, cursor,
     search_keys)
  select org_id, crowd.id(started + seq * {PAUSE_MS}, 5, i * 8 + seq), c.id, seq,
         case seq % 2 when 1 then 'customer' else 'agent' end,
         case seq % 2 when 1 then contact_id else agent_id end,
         case seq % 2 when 1 then 'Customer' else 'Agent' end, {_TEXT}, seq = 4 and many = 5,
         to_timestamp((started + seq * {PAUSE_MS}) / 1e3), cursor + seq,
         p.keys || q.keys
           || case i % 8 when 0 then crowd.number_keys(c.key_range, ({FIRST_ORDER} + i)::text) end
           || f.keys || case seq when 1 then crowd.number_keys(c.key_range, ({FIRST_NUMBER} + i)::text) end
           || conversations.window_keys(org_id, cursor + seq)
    from crowd.conversations c
    join (values (1), (2), (3), (4), (5)) s (seq) on seq <= many
    {_SAID}
    left join crowd.faces f on f.key_range = c.key_range and f.id = case seq when 1 then face end
"""

COUNTS = """
  truncate conversations.counts;
  insert into conversations.counts (org_id, open, pending, snoozed, resolved, unread)
  select org_id, count(*) filter (where status = 'open'), count(*) filter (where status = 'pending'),
         count(*) filter (where status = 'snoozed'), count(*) filter (where status = 'resolved'),
         count(*) filter (where unread_count > 0)
    from conversations.conversations group by org_id
"""
