"""What is due and what has died, for the operator: list, inspect, send again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from dana.contracts.ids import OrgId
from dana.platform.database import address
from dana.platform.migrations import shard_databases
from dana.platform.settings import Settings

MOST = 500

_LETTERS = """
  select d.org_id, d.cursor, d.consumer_group as "group", d.lane, l.type, d.state, d.attempts,
         d.last_error as error, l.created_at, d.available_at, l.payload::text as payload
    from platform.deliveries d
    join platform.event_log l
      on l.org_id = d.org_id and l.cursor = d.cursor and l.created_at = d.event_created_at
   where """
_OLDEST_FIRST = " order by d.available_at limit $1"


@dataclass(frozen=True, slots=True)
class Letter:
    """One event that one consumer has yet to consume, or has given up on."""

    shard: str
    org_id: OrgId
    cursor: int
    group: str
    lane: str
    type: str
    state: str
    attempts: int
    error: str | None
    created_at: datetime
    available_at: datetime
    payload: str


async def due(settings: Settings) -> list[Letter]:
    """List what is due, oldest first, at most 500 a shard."""
    return await _letters(settings, "d.state = 'ready'")


async def dead(settings: Settings) -> list[Letter]:
    """List what failed for good, oldest first, at most 500 a shard."""
    return await _letters(settings, "d.state = 'dead'")


async def show(settings: Settings, org_id: UUID, cursor: int) -> list[Letter]:
    """List what each consumer still has to do with one event."""
    return await _letters(settings, "d.org_id = $2 and d.cursor = $3", org_id, cursor)


async def redrive(settings: Settings, org_id: UUID | None = None, cursor: int | None = None) -> int:
    """Send dead events again, of all organizations or of one; returns how many."""
    total = 0
    for shard in shard_databases(settings):
        async with _admin(settings, shard) as connection:
            tag = await connection.execute(
                "update platform.deliveries"
                " set state = 'ready', attempts = 0, available_at = clock_timestamp()"
                " where state = 'dead' and ($1::uuid is null or org_id = $1)"
                " and ($2::bigint is null or cursor = $2)",
                org_id,
                cursor,
            )
        total += int(tag.rpartition(" ")[2])
    return total


async def _letters(settings: Settings, condition: str, *args: object) -> list[Letter]:
    letters: list[Letter] = []
    for shard in shard_databases(settings):
        async with _admin(settings, shard) as connection:
            rows = await connection.fetch(_LETTERS + condition + _OLDEST_FIRST, MOST, *args)
        letters += [Letter(shard=shard, **dict(row)) for row in rows]
    return letters


@asynccontextmanager
async def _admin(settings: Settings, shard: str) -> AsyncIterator[asyncpg.Connection]:
    database = shard_databases(settings)[shard]
    connection = await asyncpg.connect(address(settings.database_url, database=database))
    try:
        yield connection
    finally:
        await connection.close()
