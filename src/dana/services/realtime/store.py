"""Reads the event log; writes nothing."""

from uuid import UUID

import asyncpg

from dana.contracts.ids import OrgId
from dana.platform.database import ACQUIRE_TIMEOUT_SECONDS, Tx, outages_are_problems
from dana.platform.shards import Shards
from dana.services.realtime.models import LoggedEvent

_COLUMNS = "cursor, type, aggregate_id, id, created_at, payload::text"


async def read_newest(tx: Tx) -> tuple[int, UUID | None]:
    """Return the cursor of the organization's newest event, and its id; no id when the log has lost it."""
    row = await tx.fetchrow(
        "select c.value, e.id from platform.org_cursor c"
        " left join platform.event_log e on e.org_id = c.org_id and e.cursor = c.value where c.org_id = $1",
        tx.org_id,
    )
    return (row["value"], row["id"]) if row else (0, None)


async def read_events(tx: Tx, after: int, up_to: int, limit: int, position: str | None) -> list[LoggedEvent]:
    """Return the events after one cursor and up to another, oldest first."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from platform.event_log"
        " where org_id = $1 and cursor > $2 and cursor <= $3 order by cursor limit $4",
        tx.org_id,
        after,
        up_to,
        limit,
    )
    return [_event(row, position) for row in rows]


async def read_events_about(
    tx: Tx, key: UUID, after: int, up_to: int, limit: int, *, position: str | None
) -> list[LoggedEvent]:
    """Return the same, of one conversation only."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from platform.event_log where org_id = $1 and aggregate_id = $2"
        " and cursor > $3 and cursor <= $4 order by cursor limit $5",
        tx.org_id,
        key,
        after,
        up_to,
        limit,
    )
    return [_event(row, position) for row in rows]


async def is_logged(tx: Tx, cursor: int) -> bool:
    """Tell whether the log still has this event."""
    return bool(
        await tx.fetchval(
            "select true from platform.event_log where org_id = $1 and cursor = $2", tx.org_id, cursor
        )
    )


async def read_cursors(shards: Shards, shard: str, organizations: list[OrgId]) -> dict[OrgId, int]:
    """Return the newest cursors of many organizations on one shard, in one query; raises Unavailable."""
    with outages_are_problems():
        pool = await shards.pool(shard)
        async with pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            rows = await connection.fetch("select org_id, value from platform.cursors($1)", organizations)
    return {OrgId(row["org_id"]): row["value"] for row in rows}


def _event(row: asyncpg.Record, position: str | None) -> LoggedEvent:
    return LoggedEvent.stored(
        row["cursor"],
        row["type"],
        row["aggregate_id"],
        event_id=row["id"],
        created_at=row["created_at"],
        payload=row["payload"],
        position=position,
    )
