"""What is due and what has died, for the operator: list, inspect, send again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dana.contracts.ids import OrgId
from dana.platform.servers import administer, shard_addresses
from dana.platform.settings import Settings

MOST = 500

_LETTERS = """
  select d.org_id, d.cursor, d.consumer_group as "group", d.lane, l.type, d.state, d.attempts,
         d.last_error as reason, l.created_at, d.available_at, l.payload::text as payload,
         extract(epoch from clock_timestamp() - l.created_at)::double precision as age_seconds
    from platform.deliveries d
    join platform.event_log l
      on l.org_id = d.org_id and l.cursor = d.cursor and l.created_at = d.event_created_at
    join platform.org_placement p on p.org_id = d.org_id and p.state = 'active'
   where """
_SOME = """d.state = $2 and ($3::uuid is null or d.org_id = $3)
     and ($4::text is null or d.consumer_group = $4)
     and ($5::timestamptz is null
          or (d.available_at, d.org_id, d.cursor, d.consumer_group, d.lane) > ($5, $6, $7, $8, $9))"""
_OF_EVENT = "d.org_id = $2 and d.cursor = $3"
_OLDEST_FIRST = " order by d.available_at, d.org_id, d.cursor, d.consumer_group, d.lane limit $1"
_ORGANIZATIONS_WITH_DEAD = """
  select distinct d.org_id from platform.deliveries d
   where d.state = 'dead' and ($1::uuid is null or d.org_id = $1)"""
_REDRIVE = """
  update platform.deliveries d
     set state = 'ready', attempts = 0, available_at = clock_timestamp(), is_waiting = false
   where d.state = 'dead' and d.org_id = $1 and ($2::bigint is null or d.cursor = $2)
     and ($3::text is null or d.consumer_group = $3)
     and exists (select from platform.org_placement p where p.org_id = d.org_id and p.state = 'active')"""

Place = tuple[datetime, UUID, int, str, str] | tuple[None, None, None, None, None]
"""A place in a list: when it is due, and what tells it from others due then."""

NOWHERE: Place = (None, None, None, None, None)


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
    reason: str | None
    age_seconds: float
    created_at: datetime
    available_at: datetime
    payload: str

    @property
    def age(self) -> str:
        """Say how long ago it happened."""
        for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
            if self.age_seconds >= seconds:
                return f"{self.age_seconds / seconds:.0f} {unit}"
        return f"{self.age_seconds:.0f} s"

    @property
    def place(self) -> tuple[datetime, UUID, int, str, str]:
        """Return its place in the list, after which the next page begins."""
        return self.available_at, self.org_id, self.cursor, self.group, self.lane


async def due(
    settings: Settings,
    org_id: UUID | None = None,
    group: str | None = None,
    after: Place = NOWHERE,
    most: int = MOST,
) -> list[Letter]:
    """List what is due, now or later, in that order."""
    return await _some(settings, "ready", (org_id, group, *after), most)


async def dead(
    settings: Settings,
    org_id: UUID | None = None,
    group: str | None = None,
    after: Place = NOWHERE,
    most: int = MOST,
) -> list[Letter]:
    """List what failed for good, oldest first."""
    return await _some(settings, "dead", (org_id, group, *after), most)


async def show(settings: Settings, org_id: UUID, cursor: int) -> list[Letter]:
    """List what each consumer still has to do with one event."""
    return await _letters(settings, _OF_EVENT, (org_id, cursor), MOST)


async def redrive(
    settings: Settings, org_id: UUID | None = None, cursor: int | None = None, group: str | None = None
) -> int:
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
                    tag = await connection.execute(_REDRIVE, row["org_id"], cursor, group)
                total += int(tag.rpartition(" ")[2])
    return total


async def _some(settings: Settings, state: str, filters: Sequence[object], most: int) -> list[Letter]:
    found = await _letters(settings, _SOME, (state, *filters), most)
    return sorted(found, key=lambda letter: letter.place)[:most]


async def _letters(settings: Settings, condition: str, args: Sequence[object], most: int) -> list[Letter]:
    letters: list[Letter] = []
    for shard, dsn in (await shard_addresses(settings)).items():
        async with administer(dsn) as connection:
            rows = await connection.fetch(_LETTERS + condition + _OLDEST_FIRST, most, *args)
        letters += [Letter(shard=shard, **dict(row)) for row in rows]
    return letters
