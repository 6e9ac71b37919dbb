"""Replays: bring past events of one organization to one consumer again, from the log.

What is due again is written key by key, all events of a key in one transaction: so each comes in the order of
its key, also beside what happens meanwhile. How far it has come is written with it: a replay that was
interrupted, and is asked for again, goes on there, and brings nothing twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from dana.contracts.ids import OrgId
from dana.platform.database import address
from dana.platform.errors import Invalid, Missing, Unavailable
from dana.platform.maintenance import WEEKS_KEPT
from dana.platform.servers import CATALOG, administer, shard_address
from dana.platform.settings import Settings

KEYS_AT_ONCE = 200  # in one transaction: some 10,000 events, so that nobody waits long behind it
EVENTS_AT_ONCE = 2_000  # of those without a key
FORGOTTEN_AFTER = timedelta(days=1)  # who asks again later than this wants all of it once more
RELAY = "relay"

_BEGIN = """
insert into platform.replays (org_id, consumer_group, scope, up_to)
select $1, $2, $3, value from platform.org_cursor where org_id = $1
on conflict do nothing"""
_FORGET = """
delete from platform.replays
 where org_id = $1 and consumer_group = $2 and scope = $3
   and advanced_at < clock_timestamp() - $4::interval"""
_LOOK = """
select r.up_to, r.after_key, r.after_cursor, r.deliveries from platform.replays r
 where r.org_id = $1 and r.consumer_group = $2 and r.scope = $3
   and exists (select from platform.org_placement p where p.org_id = r.org_id and p.state = 'active')
   for update"""
_ADVANCE = """
update platform.replays
   set after_key = coalesce($4, after_key), after_cursor = coalesce($5, after_cursor),
       deliveries = deliveries + $6, advanced_at = clock_timestamp()
 where org_id = $1 and consumer_group = $2 and scope = $3"""
_END = "delete from platform.replays where org_id = $1 and consumer_group = $2 and scope = $3"
_KEYS = """
select distinct l.aggregate_id as key from platform.event_log l
 where l.org_id = $1 and l.cursor <= $3 and l.created_at >= $4 and l.created_at < $5
   and l.type in (select s.event_type from platform.subscriptions s where s.consumer_group = $2)
   and ($6::uuid is null or l.aggregate_id > $6) and ($7::uuid is null or l.aggregate_id = $7)
   and l.aggregate_id is not null
 order by 1 limit $8"""
_KEYLESS = """
select l.cursor from platform.event_log l
 where l.org_id = $1 and l.cursor <= $3 and l.created_at >= $4 and l.created_at < $5
   and l.type in (select s.event_type from platform.subscriptions s where s.consumer_group = $2)
   and l.aggregate_id is null and l.cursor > $6 order by 1 limit $7"""
_AGAIN = """
insert into platform.deliveries as d (org_id, cursor, consumer_group, lane, key, event_created_at)
select l.org_id, l.cursor, s.consumer_group, s.lane, l.aggregate_id, l.created_at
  from platform.event_log l
  join platform.subscriptions s on s.event_type = l.type and s.consumer_group = $2
 where l.org_id = $1 and l.cursor <= $3 and l.created_at >= $4 and l.created_at < $5 and {which}
on conflict (org_id, cursor, consumer_group, lane) do update
   set state = 'ready', attempts = 0, available_at = clock_timestamp(), is_waiting = false
 where d.state = 'dead'"""
_KEYS_AGAIN = _AGAIN.format(which="l.aggregate_id = any ($6::uuid[])")
_KEYLESS_AGAIN = _AGAIN.format(which="l.cursor = any ($6::bigint[])")

Told = Callable[[int], None]
"""Hears how many deliveries are due again so far."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Which events, and for whom: all of an organization, of one conversation (or other key), of a time."""

    group: str
    org_id: OrgId
    key: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def scope(self) -> str:
        """Name what is replayed; the same for who asks again."""
        return " ".join(str(part or "*") for part in (self.key, self.since, self.until))

    @property
    def times(self) -> tuple[datetime, datetime]:
        """Return from when, and up to when."""
        return self.since or datetime.min.replace(tzinfo=UTC), self.until or datetime.max.replace(tzinfo=UTC)

    def refuse_nonsense(self) -> None:
        """Raise Invalid when nothing can come of it."""
        if self.group == RELAY:
            raise Invalid("The relay isn't replayed: read the broker's streams from an offset or a time.")
        oldest = self.now - timedelta(weeks=WEEKS_KEPT)
        if self.since and self.since > self.now:
            raise Invalid("The time begins in the future; nothing has happened then.")
        if self.since and self.until and self.since >= self.until:
            raise Invalid("The time ends before it begins; exchange the two.")
        if self.until and self.until < oldest:
            raise Invalid(f"Events are kept for {WEEKS_KEPT} weeks; those before {oldest:%Y-%m-%d} are gone.")


async def replay(settings: Settings, asked: Replay, told: Told = lambda _: None) -> int:
    """Bring the events again; returns how many deliveries are due again, of earlier tries too.

    Raises Invalid, Missing, and Unavailable while the organization moves.
    """
    asked.refuse_nonsense()
    async with administer(await shard_address(settings, await _shard_of(settings, asked.org_id))) as shard:
        await _refuse_unknown_group(shard, asked.group)
        name = (asked.org_id, asked.group, asked.scope)
        await shard.execute(_FORGET, *name, FORGOTTEN_AFTER)
        await shard.execute(_BEGIN, *name)
        total = 0
        while (so_far := await _step(shard, asked)) is not None:
            total = so_far
            told(total)
    if not total and asked.key:
        raise Missing(f"Nothing has happened in {asked.key} then that {asked.group} consumes.")
    return total


async def _step(shard: asyncpg.Connection, asked: Replay) -> int | None:
    """Do some more in one transaction; returns how many in all, None when there is no more."""
    name = (asked.org_id, asked.group, asked.scope)
    async with shard.transaction():
        # Like any writer: not while the organization moves, and not on the copy it left behind.
        await shard.execute("select pg_advisory_xact_lock_shared(hashtextextended($1, 0))", str(asked.org_id))
        row = await shard.fetchrow(_LOOK, *name)
        if row is None:
            if await shard.fetchval(
                "select state = 'active' from platform.org_placement where org_id = $1", asked.org_id
            ):
                return None  # somebody else was at it, too, and has ended it
            raise Unavailable("The organization is being moved; ask again when it has arrived.")
        past = (asked.org_id, asked.group, row["up_to"], *asked.times)
        keys = [r["key"] for r in await shard.fetch(_KEYS, *past, row["after_key"], asked.key, KEYS_AT_ONCE)]
        cursors: list[int] = []
        if keys:
            tag = await shard.execute(_KEYS_AGAIN, *past, keys)
        elif asked.key is None:
            found = await shard.fetch(_KEYLESS, *past, row["after_cursor"], EVENTS_AT_ONCE)
            cursors = [r["cursor"] for r in found]
            tag = await shard.execute(_KEYLESS_AGAIN, *past, cursors)
        if not keys and not cursors:
            await shard.execute(_END, *name)
            return None
        many = int(tag.rpartition(" ")[2])
        await shard.execute(
            _ADVANCE, *name, keys[-1] if keys else None, cursors[-1] if cursors else None, many
        )
        return int(row["deliveries"]) + many


async def _shard_of(settings: Settings, org_id: OrgId) -> str:
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        shard = await catalog.fetchval("select shard from platform.organizations where id = $1", org_id)
    if shard is None:
        raise Missing(f"There is no organization {org_id}.")
    return str(shard)


async def _refuse_unknown_group(shard: asyncpg.Connection, group: str) -> None:
    rows = await shard.fetch("select distinct consumer_group from platform.subscriptions order by 1")
    groups = [row["consumer_group"] for row in rows]
    if group not in groups:
        known = ", ".join(name for name in groups if name != RELAY) or "none has ever started"
        raise Missing(f"There is no consumer named {group}; there are: {known}.")
