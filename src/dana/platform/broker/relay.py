"""The relay: brings the committed events of one shard to the broker, once each, in order of cursors.

    lock ─► read the oldest ─► publish, wait for the confirms ─► delete ─► read the oldest …

One process at a time holds a shard's lock. Whoever comes after it, or beside it because it hung, begins with
the oldest event that was not deleted: whatever the two do, each event's first time in a stream comes after
its predecessor's, and readers leave out the second.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import asyncpg
import structlog

from dana.contracts.events import EVENTS_BY_TYPE
from dana.platform.broker.measures import RELAY_LAG, RELAYED
from dana.platform.broker.publishing import Outgoing, Publisher
from dana.platform.bus import Release
from dana.platform.database import DRIVER_ERRORS, outages_are_problems
from dana.platform.errors import Problem
from dana.platform.pools import connection_of
from dana.platform.shards import Shards

GROUP = "relay"
BATCH = 100  # some 50 ms of publishing; larger ones are no faster
POLL_SECONDS = 0.5  # the net; a commit wakes the relay
CANDIDATE_SECONDS = 1.0  # a dead relay is replaced after about this long
ALIVE_SECONDS = 1.0
HUNG_SECONDS = 4  # PostgreSQL takes the lock from a relay that says nothing for this long
FORGET_AT_ONCE = 5_000

_LOCK = "select pg_try_advisory_lock(hashtextextended('dana.relay', 0))"

log = structlog.get_logger(__name__)


class Relay:
    """One shard's relay in this process: a candidate until it holds the lock. To the binding, a lane."""

    group = GROUP
    lane = "live"
    slots = 1
    types = frozenset(EVENTS_BY_TYPE)

    def __init__(self, shard: str, shards: Shards, publisher: Publisher) -> None:
        self.shard = shard
        self._shards = shards
        self._publisher = publisher
        self._woken = asyncio.Event()
        self._is_failing = False

    def wake(self, release: Release | None = None) -> None:
        """Look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Relay whenever nobody else does, until cancelled."""
        while True:
            if self._publisher.is_connected:
                try:
                    async with self._held() as connection:
                        if connection is not None:
                            await self._relay(connection)
                except (Problem, *DRIVER_ERRORS) as error:
                    # Another process, with another way to the broker, may take over meanwhile.
                    self._note_failure(error)
                except Exception:  # a bug must not leave the shard without a relay
                    log.exception("relay_failed", shard=self.shard)
            await asyncio.sleep(CANDIDATE_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[asyncpg.Connection | None]:
        """Hold the shard's lock on a connection; None when another process does."""
        async with connection_of(await self._shards.pool(self.shard)) as connection:
            with outages_are_problems():
                if not await connection.fetchval(_LOCK):
                    yield None
                    return
                try:
                    await connection.execute(f"set idle_session_timeout = '{HUNG_SECONDS}s'")
                    await connection.execute("select platform.relay_types($1)", sorted(EVENTS_BY_TYPE))
                    log.info("relay_began", shard=self.shard)
                    self._is_failing = False
                    yield connection
                finally:
                    with suppress(asyncpg.InterfaceError):
                        connection.terminate()  # and with it go the lock and the setting
                    with suppress(KeyError):
                        RELAY_LAG.remove(self.shard)

    async def _relay(self, connection: asyncpg.Connection) -> None:
        while True:
            self._woken.clear()
            rows = await connection.fetch("select * from platform.relay_batch($1)", BATCH)
            if not rows:
                RELAY_LAG.labels(self.shard).set(0)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
                continue
            # What waited for longer than the log is kept has no type any more: it is only taken away.
            batch = [self._outgoing(row) for row in rows if row["type"] is not None]
            if batch:
                oldest = min(outgoing.created_at for outgoing in batch)
                RELAY_LAG.labels(self.shard).set((datetime.now(UTC) - oldest).total_seconds())
                await _keeping_alive(connection, self._publisher.publish(batch))
            await connection.execute(
                "select platform.relayed($1, $2)",
                [row["org_id"] for row in rows],
                [row["cursor"] for row in rows],
            )
            RELAYED.labels(self.shard).inc(len(batch))

    def _note_failure(self, error: Exception) -> None:
        """Say it once: an outage is met again every second."""
        if not self._is_failing:
            log.warning("relay_stopped", shard=self.shard, error=str(error))
        self._is_failing = True

    def _outgoing(self, row: asyncpg.Record) -> Outgoing:
        return Outgoing(
            org_id=row["org_id"],
            cursor=row["cursor"],
            id=row["id"],
            type=row["type"],
            key=str(row["key"] or ""),
            payload=row["payload"],
            created_at=row["created_at"],
            shard=self.shard,
        )


async def _keeping_alive(connection: asyncpg.Connection, work: Awaitable[None]) -> None:
    """Wait for the broker, and show PostgreSQL meanwhile that this process doesn't hang."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=ALIVE_SECONDS))[0]:
            await connection.execute("select 1")
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def forget(shards: Shards, shard: str) -> None:
    """Subscribe no relay on a shard, and keep nothing for it: the installation has no broker."""
    pool = await shards.pool(shard)
    with outages_are_problems():
        while await pool.fetchval("select platform.forget_relay($1)", FORGET_AT_ONCE):
            pass
