"""The SQL of conversations. Row-level security adds the organization to every statement."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from dana.contracts.ids import ContactId, ConversationId, InboxId, OrgId, UserId
from dana.contracts.views import (
    Action,
    Author,
    Citation,
    ContactView,
    ConversationView,
    InboxView,
    MessageView,
    Role,
    Status,
)
from dana.platform.database import Tx, outages_are_problems
from dana.platform.errors import Missing
from dana.platform.shards import Shards
from dana.services.conversations.models.acts import PREVIEW_CHARACTERS, Change
from dana.services.conversations.models.nouns import Agent, Counts, Draft, Due, Filter, Plain

_json = msgspec.json.Encoder()
_citations = msgspec.json.Decoder(tuple[Citation, ...])

_INBOX = "id, name, channel, public_key, greeting, is_assistant_enabled, created_at"

_COLUMNS = """
  c.id, c.inbox_id, c.status, c.assignee_id, c.assignee_name, c.last_seq, c.last_text, c.last_author,
  c.unread_count, c.version, c.snoozed_until, c.last_activity_at, c.created_at,
  p.id as contact_id, p.name as contact_name, p.email as contact_email, p.created_at as contact_created_at
"""

_JOINED = """
  conversations.conversations c
  join conversations.contacts p on p.org_id = c.org_id and p.id = c.contact_id
"""

_CONVERSATION = f"{_COLUMNS} from {_JOINED}"

_LOCK = f"""
  select {_COLUMNS}, c.turn, c.asked_at, i.is_assistant_enabled
    from {_JOINED} join conversations.inboxes i on i.org_id = c.org_id and i.id = c.inbox_id
   where c.id = $1 for no key update of c
"""

_MESSAGE = """
  id, conversation_id, seq, author, author_id, author_name, text, is_private, created_at, action, citations
"""

_MESSAGES_FROM_JSON = f"""
  insert into conversations.messages ({_MESSAGE}, idempotency_key)
  select {_MESSAGE}, case when seq = $2 then $3 end
    from json_to_recordset($4::text::json) as m (
      id uuid, conversation_id uuid, seq int, author text, author_id uuid, author_name text, text text,
      is_private boolean, created_at timestamptz, action text, citations json)
"""

_UPDATE = """
  update conversations.conversations
     set status = $5, assignee_id = $6, assignee_name = $7, last_seq = $2, last_text = $8, last_author = $9,
         unread_count = $10, version = $11, turn = $12, asked_at = $13, snoozed_until = $14,
         last_activity_at = $15
   where id = $1
"""

_COUNT = """
  update conversations.counts
     set open = open + $16, pending = pending + $17, snoozed = snoozed + $18, resolved = resolved + $19,
         unread = unread + $20
   where org_id = platform.current_org()
"""

_SAVE = f"with saved as ({_UPDATE}) {_MESSAGES_FROM_JSON}"
_SAVE_AND_COUNT = f"with saved as ({_UPDATE}), counted as ({_COUNT}) {_MESSAGES_FROM_JSON}"

_START = """
  with contact as (
    insert into conversations.contacts (id, name, email, created_at) values ($1, $2, $3, $4)
  ), counted as (
    insert into conversations.counts as counts (open, pending) values ($5, $6)
      on conflict (org_id) do update
      set open = counts.open + excluded.open, pending = counts.pending + excluded.pending
  )
  insert into conversations.conversations
    (id, inbox_id, contact_id, status, last_seq, last_text, unread_count, version, turn,
     last_activity_at, created_at, start_key)
  values ($7, $8, $1, $9, 0, '', 0, $10, 0, $4, $4, $11)
"""

_COUNTED = (Status.OPEN, Status.PENDING, Status.SNOOZED, Status.RESOLVED)


async def add_inbox(tx: Tx, inbox: InboxView) -> None:
    """Write a new inbox."""
    await tx.execute(
        f"insert into conversations.inboxes ({_INBOX}) values ($1, $2, $3, $4, $5, $6, $7)",
        *msgspec.structs.astuple(inbox),
    )


async def lock_inbox(tx: Tx, inbox_id: InboxId) -> InboxView:
    """Read an inbox that is to be changed; raises Missing."""
    return await _inbox(tx, inbox_id, "for no key update")


async def save_inbox(tx: Tx, inbox: InboxView) -> None:
    """Write an inbox's settings."""
    await tx.execute(
        "update conversations.inboxes set name = $2, greeting = $3, is_assistant_enabled = $4 where id = $1",
        inbox.id,
        inbox.name,
        inbox.greeting,
        inbox.is_assistant_enabled,
    )


async def inbox(tx: Tx, inbox_id: InboxId) -> InboxView:
    """Read an inbox; raises Missing."""
    return await _inbox(tx, inbox_id, "")


async def inboxes(tx: Tx, after: UUID | None, limit: int) -> list[InboxView]:
    """List inboxes, oldest first, from after this one."""
    rows = await tx.fetch(
        f"select {_INBOX} from conversations.inboxes where $1::uuid is null or id > $1 order by id limit $2",
        after,
        limit,
    )
    return [InboxView(**row) for row in rows]


async def lock_start(tx: Tx, inbox_id: InboxId, start_key: str) -> ConversationId | None:
    """Find what was started with a key; another start with the same key waits until this one commits."""
    found: ConversationId | None = await tx.fetchval(
        "select conversations.lock_start($1, $2)", inbox_id, start_key
    )
    return found


async def add_conversation(tx: Tx, view: ConversationView, start_key: str | None) -> None:
    """Write a new conversation, still without a message, and its new contact."""
    await tx.execute(
        _START,
        view.contact.id,
        view.contact.name,
        view.contact.email,
        view.created_at,
        int(view.status is Status.OPEN),
        int(view.status is Status.PENDING),
        view.id,
        view.inbox_id,
        view.status,
        view.version,
        start_key,
    )


async def lock(tx: Tx, conversation_id: ConversationId) -> Change:
    """Lock a conversation until the transaction ends, ready to be changed; raises Missing."""
    return _locked(tx, await tx.fetchrow(_LOCK, conversation_id))


async def lock_to_write(tx: Tx, conversation_id: ConversationId, draft: Draft, plain: Plain) -> Change:
    """Lock a conversation and, in a plain state, write the message at once; raises Missing."""
    row = await tx.fetchrow(
        "select * from conversations.lock_to_write"
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        conversation_id,
        draft.key,
        draft.id,
        draft.author,
        draft.who.id,
        draft.who.name,
        draft.text,
        draft.is_private,
        tx.now,
        None if draft.is_private else draft.text[:PREVIEW_CHARACTERS],
        plain.statuses,
        plain.is_assigned,
        plain.has_unread,
        plain.unread_more,
    )
    change = _locked(tx, row)
    if row:
        change.repeated_seq, change.is_saved = row["repeated_seq"], row["is_saved"]
    return change


async def save(tx: Tx, change: Change, idempotency_key: str | None = None) -> None:
    """Write a change: conversation, counters and new messages, of which the last has the key."""
    view, before = change.view, change.before
    args: list[Any] = [
        view.id,
        view.last_seq,
        idempotency_key,
        _json.encode(change.messages).decode(),
        view.status,
        view.assignee_id,
        view.assignee_name,
        view.last_text,
        view.last_author,
        view.unread_count,
        view.version,
        change.turn,
        change.asked_at,
        view.snoozed_until,
        view.last_activity_at,
    ]
    unread = bool(view.unread_count) - bool(before.unread_count)
    if view.status is before.status and not unread:
        await tx.execute(_SAVE, *args)
        return
    moved = [(view.status is status) - (before.status is status) for status in _COUNTED]
    await tx.execute(_SAVE_AND_COUNT, *args, *moved, unread)


async def conversation(tx: Tx, conversation_id: ConversationId) -> ConversationView:
    """Read a conversation; raises Missing."""
    row = await tx.fetchrow(f"select {_CONVERSATION} where c.id = $1", conversation_id)
    if row is None:
        raise _no_conversation()
    return _conversation(row)


async def conversations(
    tx: Tx, wanted: Filter, before: tuple[datetime, UUID] | None, limit: int
) -> list[ConversationView]:
    """List conversations, newest activity first, from before this place in the order."""
    conditions = ["true"]
    args: list[Any] = [limit]
    for column, value in (
        ("c.status", wanted.status),
        ("c.inbox_id", wanted.inbox_id),
        ("c.assignee_id", wanted.assignee_id),
    ):
        if value is not None:
            args.append(value)
            conditions.append(f"{column} = ${len(args)}")
    if before:
        args += before
        conditions.append(f"(c.last_activity_at, c.id) < (${len(args) - 1}, ${len(args)})")
    rows = await tx.fetch(
        f"select {_CONVERSATION} where {' and '.join(conditions)}"
        " order by c.last_activity_at desc, c.id desc limit $1",
        *args,
    )
    return [_conversation(row) for row in rows]


async def messages_before(
    tx: Tx, conversation_id: ConversationId, before: int | None, limit: int, *, is_public: bool
) -> list[MessageView]:
    """List messages, newest first, from before this sequence number."""
    rows = await tx.fetch(
        f"select {_MESSAGE} from conversations.messages where conversation_id = $1"
        " and ($2::int is null or seq < $2) and not ($4 and is_private) order by seq desc limit $3",
        conversation_id,
        before,
        limit,
        is_public,
    )
    return [_message(row) for row in rows]


async def messages_after(
    tx: Tx, conversation_id: ConversationId, after: int, limit: int, *, is_public: bool
) -> list[MessageView]:
    """List messages, oldest first, from after this sequence number."""
    rows = await tx.fetch(
        f"select {_MESSAGE} from conversations.messages where conversation_id = $1"
        " and seq > $2 and not ($4 and is_private) order by seq limit $3",
        conversation_id,
        after,
        limit,
        is_public,
    )
    return [_message(row) for row in rows]


async def counts(tx: Tx) -> Counts:
    """Read the organization's counters."""
    row = await tx.fetchrow("select open, pending, snoozed, resolved, unread from conversations.counts")
    return Counts(**row) if row else Counts()


async def put_agent(tx: Tx, agent: Agent, role: Role) -> None:
    """Copy a member."""
    await tx.execute(
        "insert into conversations.agents (id, name, role, is_active) values ($1, $2, $3, $4)"
        " on conflict (org_id, id) do update"
        " set name = excluded.name, role = excluded.role, is_active = excluded.is_active",
        agent.id,
        agent.name,
        role,
        agent.is_active,
    )


async def agent(tx: Tx, user_id: UserId) -> Agent | None:
    """Read the copy of a member."""
    row = await tx.fetchrow("select id, name, is_active from conversations.agents where id = $1", user_id)
    return Agent(**row) if row else None


async def assigned_to(tx: Tx, user_id: UserId, limit: int) -> list[ConversationId]:
    """Name the unresolved conversations of a person, in the order in which they must be locked."""
    rows = await tx.fetch(
        "select id from conversations.conversations where assignee_id = $1 and status <> 'resolved'"
        " order by last_activity_at desc limit $2",
        user_id,
        limit,
    )
    return sorted(row["id"] for row in rows)


async def due(shards: Shards, shard: str, asked_before: datetime, limit: int) -> list[Due]:
    """Name what the clock must wake on one shard, over all its organizations; raises Unavailable."""
    with outages_are_problems():
        pool = await shards.pool(shard)
        rows = await pool.fetch("select * from conversations.due($1, $2)", asked_before, limit)
    return [Due(OrgId(row["org_id"]), ConversationId(row["id"])) for row in rows]


async def _inbox(tx: Tx, inbox_id: InboxId, locking: str) -> InboxView:
    row = await tx.fetchrow(
        f"select {_INBOX} from conversations.inboxes where id = $1 {locking}",
        inbox_id,
    )
    if row is None:
        raise Missing("There is no such inbox.")
    return InboxView(**row)


def _locked(tx: Tx, row: asyncpg.Record | None) -> Change:
    if row is None:
        raise _no_conversation()
    return Change(
        view=_conversation(row),
        turn=row["turn"],
        asked_at=row["asked_at"],
        is_assistant_enabled=row["is_assistant_enabled"],
        now=tx.now,
    )


def _conversation(row: asyncpg.Record) -> ConversationView:
    return ConversationView(
        id=row["id"],
        inbox_id=row["inbox_id"],
        contact=ContactView(
            id=ContactId(row["contact_id"]),
            name=row["contact_name"],
            email=row["contact_email"],
            created_at=row["contact_created_at"],
        ),
        status=Status(row["status"]),
        assignee_id=row["assignee_id"],
        assignee_name=row["assignee_name"],
        last_seq=row["last_seq"],
        last_text=row["last_text"],
        last_author=Author(row["last_author"]) if row["last_author"] else None,
        unread_count=row["unread_count"],
        version=row["version"],
        snoozed_until=row["snoozed_until"],
        last_activity_at=row["last_activity_at"],
        created_at=row["created_at"],
    )


def _message(row: asyncpg.Record) -> MessageView:
    fields = dict(row)
    fields["author"] = Author(fields["author"])
    fields["action"] = Action(fields["action"]) if fields["action"] else None
    fields["citations"] = _citations.decode(fields["citations"])
    return MessageView(**fields)


def _no_conversation() -> Missing:
    return Missing("There is no such conversation.")
