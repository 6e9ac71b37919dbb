"""Conversations, their messages and the counters, as they are read.

A list of conversations is one range of an index for each status, merged: no walk past others.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from dana.contracts.ids import ConversationId, UserId
from dana.contracts.views import ConversationView, MessageView, Status
from dana.platform.database import Tx
from dana.services.conversations.models.nouns import Counts, Filter
from dana.services.conversations.store.rows import (
    COLUMNS,
    CONVERSATION,
    MESSAGE,
    WITH_CONTACT,
    conversation_of,
    message_of,
    no_conversation,
)

LARGEST_SEQ = 2**31 - 1
NEWEST_FIRST = "last_activity_at desc, id desc"


async def conversation(tx: Tx, conversation_id: ConversationId) -> ConversationView:
    """Read a conversation; raises Missing."""
    row = await tx.fetchrow(f"select {CONVERSATION} where c.id = $1", conversation_id)
    if row is None:
        raise no_conversation()
    return conversation_of(row)


async def conversations(
    tx: Tx, wanted: Filter, before: tuple[datetime, UUID] | None, limit: int
) -> list[ConversationView]:
    """List conversations, newest activity first, from before this place in the order."""
    args: list[Any] = [limit]
    conditions = []
    for column, value in (("inbox_id", wanted.inbox_id), ("assignee_id", wanted.assignee_id)):
        if value is not None:
            args.append(value)
            conditions.append(f"{column} = ${len(args)}")
    if before:
        args += before
        conditions.append(f"(last_activity_at, id) < (${len(args) - 1}, ${len(args)})")
    statuses = [wanted.status] if wanted.status else list(Status)
    rows = await tx.fetch(
        f"select {COLUMNS} from ({_merged(statuses, conditions)}) c {WITH_CONTACT}"
        " order by c.last_activity_at desc, c.id desc limit $1",
        *args,
    )
    return [conversation_of(row) for row in rows]


async def assigned_to(tx: Tx, user_id: UserId, limit: int) -> list[ConversationId]:
    """Name the unresolved conversations of a person, in the order in which they must be locked."""
    unresolved = [status for status in Status if status is not Status.RESOLVED]
    rows = await tx.fetch(_merged(unresolved, ["assignee_id = $2"], "id, last_activity_at"), limit, user_id)
    return sorted(row["id"] for row in rows)


async def messages_before(
    tx: Tx, conversation_id: ConversationId, before: int | None, limit: int, *, is_public: bool
) -> list[MessageView]:
    """List messages, newest first, from before this sequence number."""
    rows = await tx.fetch(
        f"select {MESSAGE} from conversations.messages where conversation_id = $1"
        " and seq < $2 and not ($4 and is_private) order by seq desc limit $3",
        conversation_id,
        LARGEST_SEQ if before is None else before,
        limit,
        is_public,
    )
    return [message_of(row) for row in rows]


async def messages_after(
    tx: Tx, conversation_id: ConversationId, after: int, limit: int, *, is_public: bool
) -> list[MessageView]:
    """List messages, oldest first, from after this sequence number."""
    rows = await tx.fetch(
        f"select {MESSAGE} from conversations.messages where conversation_id = $1"
        " and seq > $2 and not ($4 and is_private) order by seq limit $3",
        conversation_id,
        after,
        limit,
        is_public,
    )
    return [message_of(row) for row in rows]


async def counts(tx: Tx) -> Counts:
    """Read the organization's counters."""
    row = await tx.fetchrow("select open, pending, snoozed, resolved, unread from conversations.counts")
    return Counts(**row) if row else Counts()


def _merged(statuses: Sequence[Status], conditions: list[str], columns: str = "*") -> str:
    ranges = []
    for status in statuses:
        where = " and ".join([f"status = '{status.value}'", *conditions])
        ranges.append(
            f"(select {columns} from conversations.conversations where {where}"
            f" order by {NEWEST_FIRST} limit $1)"
        )
    if len(ranges) == 1:
        return ranges[0]
    return f"{' union all '.join(ranges)} order by {NEWEST_FIRST} limit $1"
