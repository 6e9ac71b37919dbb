"""Conversations and their messages, as they are written: locked, changed by the rules, saved."""

from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from dana.contracts.ids import ConversationId, InboxId, OrgId
from dana.contracts.views import ConversationView, MessageView, Status
from dana.platform.database import Tx, outages_are_problems
from dana.platform.shards import Shards
from dana.services.conversations.models.acts import PREVIEW_CHARACTERS, Change
from dana.services.conversations.models.finding import findable_texts, search_keys
from dana.services.conversations.models.nouns import Draft, Due, Plain
from dana.services.conversations.store.rows import (
    COLUMNS,
    MESSAGE,
    WITH_CONTACT,
    conversation_of,
    no_conversation,
)

_json = msgspec.json.Encoder()

_LOCK = f"""
  select {COLUMNS}, c.turn, c.asked_at, i.is_assistant_enabled
    from conversations.conversations c {WITH_CONTACT}
    join conversations.inboxes i on i.org_id = c.org_id and i.id = c.inbox_id
   where c.id = $1 for no key update of c
"""

# Activity lines have no keys: nobody looks for them.
_MESSAGES_FROM_JSON = f"""
  insert into conversations.messages ({MESSAGE}, idempotency_key, cursor, search_keys)
  select {MESSAGE}, coalesce(imported_as, case when seq = $2 then $3 end), o.value,
         case when search_keys = '{{}}' then '{{}}'
              else search_keys || conversations.window_keys(o.org_id, o.value) end
    from platform.org_cursor o, json_to_recordset($4::text::json) as m (
      id uuid, conversation_id uuid, seq int, author text, author_id uuid, author_name text, text text,
      is_private boolean, created_at timestamptz, action text, citations json, search_keys int[],
      imported_as text)
   where o.org_id = platform.current_org()
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
    insert into conversations.counts as counts (open, pending, resolved) values ($5, $6, $12)
      on conflict (org_id) do update
      set open = counts.open + excluded.open, pending = counts.pending + excluded.pending,
          resolved = counts.resolved + excluded.resolved
  )
  insert into conversations.conversations
    (id, inbox_id, contact_id, status, last_seq, last_text, unread_count, version, turn,
     last_activity_at, created_at, start_key)
  values ($7, $8, $1, $9, 0, '', 0, $10, 0, $4, $4, $11)
"""

_COUNTED = (Status.OPEN, Status.PENDING, Status.SNOOZED, Status.RESOLVED)


class _Stored(MessageView, frozen=True, kw_only=True):
    """A message with the numbers by which it is found."""

    search_keys: list[int]
    imported_as: str | None = None
    """The key by which an import knows it again; what people write has at most one key a change."""


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
        int(view.status is Status.RESOLVED),
    )


async def lock(tx: Tx, conversation_id: ConversationId) -> Change:
    """Lock a conversation until the transaction ends, ready to be changed; raises Missing."""
    return _locked(tx, await tx.fetchrow(_LOCK, conversation_id))


async def lock_to_write(tx: Tx, conversation_id: ConversationId, draft: Draft, plain: Plain) -> Change:
    """Lock a conversation and, in a plain state, write the message at once; raises Missing."""
    row = await tx.fetchrow(
        "select * from conversations.lock_to_write"
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
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
        search_keys(tx.org_id, draft.text),
        plain.statuses,
        plain.is_assigned,
        plain.has_unread,
        plain.unread_more,
    )
    change = _locked(tx, row)
    if row:
        change.repeated_seq, change.is_saved = row["repeated_seq"], row["is_saved"]
    return change


async def save(
    tx: Tx, change: Change, idempotency_key: str | None = None, imported_as: dict[int, str] | None = None
) -> None:
    """Write a change: conversation, counters and new messages, of which the last has the key.

    Imported messages have keys of their own, by `seq`.
    """
    view, before = change.view, change.before
    args: list[Any] = [
        view.id,
        view.last_seq,
        idempotency_key,
        _json.encode(
            [_stored(tx, view, message, (imported_as or {}).get(message.seq)) for message in change.messages]
        ).decode(),
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


async def due(shards: Shards, shard: str, asked_before: datetime, limit: int) -> list[Due]:
    """Name what the clock must wake on one shard, over all its organizations; raises Unavailable."""
    with outages_are_problems():
        pool = await shards.pool(shard)
        rows = await pool.fetch("select * from conversations.due($1, $2)", asked_before, limit)
    return [Due(OrgId(row["org_id"]), ConversationId(row["id"])) for row in rows]


def _stored(tx: Tx, view: ConversationView, message: MessageView, imported_as: str | None) -> _Stored:
    texts = findable_texts(message.seq, message.author, message.text, view.contact)
    return _Stored(
        **msgspec.structs.asdict(message),
        search_keys=search_keys(tx.org_id, *texts),
        imported_as=imported_as,
    )


def _locked(tx: Tx, row: asyncpg.Record | None) -> Change:
    if row is None:
        raise no_conversation()
    return Change(
        view=conversation_of(row),
        turn=row["turn"],
        asked_at=row["asked_at"],
        is_assistant_enabled=row["is_assistant_enabled"],
        now=tx.now,
    )
