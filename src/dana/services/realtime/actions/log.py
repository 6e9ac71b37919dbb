"""The event log, a page at a time. Replays share few connections, so that a storm of them stays a queue."""

import asyncio
from typing import NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform.database import Tx
from dana.platform.errors import Unavailable
from dana.platform.shards import Shards
from dana.services.realtime import store
from dana.services.realtime.models import LoggedEvent

log = structlog.get_logger(__name__)

READ = Counter("dana_realtime_log_pages_total", "Pages of the event log that were read.")

PAGE = 200
CONCURRENT_READS = 4


class Newest(NamedTuple):
    """The newest event of an organization, and a position that contains it."""

    cursor: int
    id: UUID | None
    position: str | None


class EventLog:
    """Reads of the log, each in a short transaction of its own."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._reading = asyncio.Semaphore(CONCURRENT_READS)

    async def newest(self, org_id: OrgId) -> Newest:
        """Return what the newest event of an organization is."""
        async with self._reading, self._shards.read(org_id) as tx:
            cursor, event_id = await store.read_newest(tx)
            return Newest(cursor, event_id, await self._position(tx))

    async def page(self, org_id: OrgId, after: int, up_to: int) -> list[LoggedEvent]:
        """Return the next events, at most a page."""
        READ.inc()
        async with self._reading, self._shards.read(org_id) as tx:
            return await store.read_events(tx, after, up_to, PAGE, position=await self._position(tx))

    async def page_about(self, org_id: OrgId, key: UUID, after: int, up_to: int) -> list[LoggedEvent] | None:
        """Return the next events of one conversation; None when the log no longer reaches back so far."""
        READ.inc()
        async with self._reading, self._shards.read(org_id) as tx:
            if not await store.is_logged(tx, after + 1):
                return None
            return await store.read_events_about(
                tx, key, after, up_to, PAGE, position=await self._position(tx)
            )

    async def cursors(self, organizations: list[OrgId]) -> dict[OrgId, int]:
        """Return the newest cursors of many organizations, with one query for each shard."""
        by_shard: dict[str, list[OrgId]] = {}
        for org_id in organizations:
            by_shard.setdefault((await self._shards.route(org_id)).shard, []).append(org_id)
        newest: dict[OrgId, int] = {}
        for shard, members in by_shard.items():
            try:
                found = await store.read_cursors(self._shards, shard, members)
                for moved in set(members) - set(found):
                    self._shards.forget_route(moved)  # found at its new place by the next look
                newest |= found
            except Unavailable:
                log.warning("shard_unreadable", shard=shard)  # the others go on meanwhile
        return newest

    async def _position(self, tx: Tx) -> str | None:
        position = await self._shards.position(tx)
        return None if position is None else str(position)
