"""Many conversations at once, for long jobs: which there are, all that was said in them, and their end."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dana.contracts.ids import ConversationId, InboxId, LongJobId, MessageId
from dana.contracts.views import ConversationView, MessageView, Status
from dana.platform.database import Tx
from dana.services.conversations.models.bulk import Choice, Deletion, Described, Doomed, Part, Place
from dana.services.conversations.store.rows import COLUMNS, MESSAGE, WITH_CONTACT, conversation_of, message_of

_BEFORE_ALL = UUID(int=0)
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)

_DELETE = """
  with said as (
    delete from conversations.messages where conversation_id = any ($1::uuid[])
  ), counted as (
    update conversations.counts
       set open = open - $2, pending = pending - $3, snoozed = snoozed - $4, resolved = resolved - $5,
           unread = unread - $6
     where org_id = platform.current_org()
  )
  delete from conversations.conversations where id = any ($1::uuid[])
"""

_PART = "number, first_line, lines, size_bytes, sha256"


async def count_chosen(tx: Tx, choice: Choice) -> int:
    """Count the conversations of a choice; takes a while when they are many."""
    where, args = _where(choice, [])
    found: int = await tx.fetchval(
        "select count(*) from conversations.conversations"
        f" where status = any (${len(args) + 1}::text[]) and {where}",
        *args,
        _statuses(choice),
    )
    return found


async def places_after(tx: Tx, choice: Choice, last: Deletion | None, limit: int) -> list[Place]:
    """List conversations of a choice, the longest quiet first: one range of an index for each status."""
    where, args = _where(
        choice, [limit, last.active_at if last else _LONG_AGO, last.conversation_id if last else _BEFORE_ALL]
    )
    ranges = [
        "(select last_activity_at, id, last_seq from conversations.conversations"
        f" where status = '{status}' and (last_activity_at, id) > ($2, $3) and {where}"
        " order by last_activity_at, id limit $1)"
        for status in _statuses(choice)
    ]
    merged = " union all ".join(ranges)
    rows = await tx.fetch(f"select * from ({merged}) f order by last_activity_at, id limit $1", *args)
    return [Place(*row) for row in rows]


async def lock_quiet(tx: Tx, choice: Choice, ids: list[ConversationId]) -> list[Doomed]:
    """Lock those of some conversations that are still chosen, in the order in which they must be locked."""
    where, args = _where(choice, [ids, _statuses(choice)])
    rows = await tx.fetch(
        "select id, status, unread_count from conversations.conversations"
        f" where id = any ($1::uuid[]) and status = any ($2::text[]) and {where} order by id for update",
        *args,
    )
    return [Doomed(ConversationId(row["id"]), Status(row["status"]), row["unread_count"] > 0) for row in rows]


async def delete_conversations(tx: Tx, doomed: list[Doomed]) -> None:
    """Delete locked conversations with all that was said in them; the counters follow."""
    await tx.execute(
        _DELETE,
        [one.id for one in doomed],
        *(
            sum(one.status is status for one in doomed)
            for status in (Status.OPEN, Status.PENDING, Status.SNOOZED, Status.RESOLVED)
        ),
        sum(one.has_unread for one in doomed),
    )


async def conversations_from(
    tx: Tx, after: ConversationId | None, limit: int
) -> list[tuple[ConversationView, str]]:
    """List conversations in the order of their ids, each with the name of its inbox."""
    rows = await tx.fetch(
        f"select i.name as inbox_name, {COLUMNS}"
        " from (select * from conversations.conversations where id > $1 order by id limit $2) c"
        f" {WITH_CONTACT}"
        " join conversations.inboxes i on i.org_id = c.org_id and i.id = c.inbox_id order by c.id",
        after or _BEFORE_ALL,
        limit,
    )
    return [(conversation_of(row), row["inbox_name"]) for row in rows]


async def messages_of(tx: Tx, ids: list[ConversationId]) -> list[MessageView]:
    """Return all that was said in some conversations, in no order."""
    rows = await tx.fetch(
        f"select {MESSAGE} from conversations.messages where conversation_id = any ($1::uuid[])", ids
    )
    return [message_of(row) for row in rows]


async def imported_conversations(
    tx: Tx, inbox_id: InboxId, start_keys: list[str], ids: list[UUID]
) -> tuple[dict[str, ConversationId], set[UUID]]:
    """Find which conversations were imported under these keys, and which of these ids are taken."""
    keyed = await tx.fetch(
        "select start_key, id from conversations.conversations"
        " where inbox_id = $1 and start_key = any ($2::text[])",
        inbox_id,
        start_keys,
    )
    own = await tx.fetch("select id from conversations.conversations where id = any ($1::uuid[])", ids)
    return {row["start_key"]: ConversationId(row["id"]) for row in keyed}, {row["id"] for row in own}


async def imported_messages(
    tx: Tx, conversation_ids: list[ConversationId], keys: list[str], ids: list[UUID]
) -> tuple[set[tuple[ConversationId, str]], set[MessageId]]:
    """Find which messages were imported under these keys, and which of these ids are taken."""
    keyed = await tx.fetch(
        "select conversation_id, idempotency_key from conversations.messages"
        " where conversation_id = any ($1::uuid[]) and idempotency_key = any ($2::text[])",
        conversation_ids,
        keys,
    )
    own = await tx.fetch("select id from conversations.messages where id = any ($1::uuid[])", ids)
    return (
        {(ConversationId(row["conversation_id"]), row["idempotency_key"]) for row in keyed},
        {MessageId(row["id"]) for row in own},
    )


async def add_parts(tx: Tx, job_id: LongJobId, parts: list[Part]) -> None:
    """Keep pieces of a job's file."""
    await tx.executemany(
        f"insert into conversations.job_parts (job_id, {_PART}, content) values ($1, $2, $3, $4, $5, $6, $7)",
        [(job_id, *part) for part in parts],
    )


async def part(tx: Tx, job_id: LongJobId, number: int) -> Part | None:
    """Read a piece of a job's file."""
    row = await tx.fetchrow(
        f"select {_PART}, content from conversations.job_parts where job_id = $1 and number = $2",
        job_id,
        number,
    )
    return Part(*row) if row else None


async def described_parts(tx: Tx, job_id: LongJobId) -> list[Described]:
    """Describe the pieces of a job's file, in order."""
    rows = await tx.fetch(
        f"select {_PART}, octet_length(content) from conversations.job_parts where job_id = $1"
        " order by number",
        job_id,
    )
    return [Described(*row) for row in rows]


async def delete_part(tx: Tx, job_id: LongJobId, number: int) -> None:
    """Delete a piece that was taken in."""
    await tx.execute("delete from conversations.job_parts where job_id = $1 and number = $2", job_id, number)


async def delete_parts(tx: Tx, job_id: LongJobId) -> None:
    """Delete what a job has kept."""
    await tx.execute("delete from conversations.job_parts where job_id = $1", job_id)


def _statuses(choice: Choice) -> list[Status]:
    return [choice.status] if choice.status else list(Status)


def _where(choice: Choice, args: list[Any]) -> tuple[str, list[Any]]:
    conditions = ["true"]
    for column, comparison, value in (
        ("inbox_id", "=", choice.inbox_id),
        ("last_activity_at", "<", choice.quiet_since),
    ):
        if value is not None:
            args = [*args, value]
            conditions.append(f"{column} {comparison} ${len(args)}")
    return " and ".join(conditions), args
