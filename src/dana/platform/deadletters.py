"""What is due and what has died, for the operator: list, inspect, send again."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dana.contracts.ids import OrgId
from dana.platform.servers import administer, shard_addresses
from dana.platform.settings import Settings

MOST = 500

_LETTERS = """
  select d.org_id, d.cursor, d.consumer_group as "group", d.lane, l.type, d.state, d.attempts,
         d.last_error as error, l.created_at, d.available_at, l.payload::text as payload
    from platform.deliveries d
    join platform.event_log l
      on l.org_id = d.org_id and l.cursor = d.cursor and l.created_at = d.event_created_at
    join platform.org_placement p on p.org_id = d.org_id and p.state = 'active'
   where """
_ORGANIZATIONS_WITH_DEAD = """
  select distinct d.org_id from platform.deliveries d
   where d.state = 'dead' and ($1::uuid is null or d.org_id = $1)"""
_REDRIVE = """
  update platform.deliveries d set state = 'ready', attempts = 0, available_at = clock_timestamp()
   where d.state = 'dead' and d.org_id = $1 and ($2::bigint is null or d.cursor = $2)
     and exists (select from platform.org_placement p where p.org_id = d.org_id and p.state = 'active')"""
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
    for dsn in (await shard_addresses(settings)).values():
        async with administer(dsn) as connection:
            for row in await connection.fetch(_ORGANIZATIONS_WITH_DEAD, org_id):
                async with connection.transaction():
                    # Like any writer: not while the organization moves, and not on the copy it left behind.
                    await connection.execute(
                        "select pg_advisory_xact_lock_shared(hashtextextended($1, 0))", str(row["org_id"])
                    )
                    tag = await connection.execute(_REDRIVE, row["org_id"], cursor)
                total += int(tag.rpartition(" ")[2])
    return total


async def _letters(settings: Settings, condition: str, *args: object) -> list[Letter]:
    letters: list[Letter] = []
    for shard, dsn in (await shard_addresses(settings)).items():
        async with administer(dsn) as connection:
            rows = await connection.fetch(_LETTERS + condition + _OLDEST_FIRST, MOST, *args)
        letters += [Letter(shard=shard, **dict(row)) for row in rows]
    return letters
