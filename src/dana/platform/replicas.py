"""Where the replicas of each shard stand, sampled all the time and kept in memory.

A shard's address names several hosts; whichever are in recovery are its replicas. One sampler a process looks
at each of them; a read asks it which replica is worth trying, and the replica itself has the last word.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import asyncpg
import structlog
from prometheus_client import Counter, Gauge

from dana.platform.database import CONNECT_TIMEOUT_SECONDS, SERVER_SETTINGS, address, hosts
from dana.platform.positions import Position
from dana.platform.settings import Settings

SAMPLE_SECONDS = 0.1
RETRY_SECONDS = 1.0  # a host that doesn't answer is asked less often
FRESH_SECONDS = 1.0  # an older sample says nothing
MOST_BEHIND_BYTES = 16 * 1024 * 1024  # a replica this far behind won't catch up while a reader waits
SAMPLE_TIMEOUT_SECONDS = 0.5
ROLE = "dana_realtime"  # may ask for a position, like every service

READS = Counter("dana_reads_total", "Reads of requests that may lag.", ["shard", "source"])
LAG_BYTES = Gauge("dana_replica_lag_bytes", "How much a replica has yet to replay.", ["shard", "host"])
LAG_SECONDS = Gauge("dana_replica_lag_seconds", "Since when a replica is behind.", ["shard", "host"])

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Standing:
    """One host of a shard, as last seen."""

    host: str
    is_replica: bool = False
    timeline: int | None = None
    lsn: int = 0
    sampled_at: float = 0.0
    behind_since: float | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether the sample still says something."""
        return time.monotonic() - self.sampled_at < FRESH_SECONDS


class Replicas:
    """Samples all hosts of all shards that have more than one; `follow` a shard to begin."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._standings: dict[str, dict[str, Standing]] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._addresses: dict[str, str] = {}
        self._turn = 0

    def follow(self, shard: str, server: str, database: str) -> None:
        """Sample this shard's hosts from now on; a new address replaces the old."""
        if self._addresses.get(shard) == server:
            return
        self._forget(shard)
        self._addresses[shard] = server
        known = hosts(server)
        if len(known) == 1:
            return
        standings = self._standings[shard] = {host: Standing(host) for host in known}
        password = self._settings.secrets.password(ROLE)
        self._tasks[shard] = [
            asyncio.create_task(
                self._sample(
                    shard,
                    standing,
                    address(server, database=database, user=ROLE, password=password, host=standing.host),
                )
            )
            for standing in standings.values()
        ]

    def has(self, shard: str) -> bool:
        """Tell whether a shard may have replicas."""
        return shard in self._standings

    def choose(self, shard: str, wanted: Position | None) -> str | None:
        """Name the replica worth trying for a reader who has seen this much; None for none."""
        standings = self._standings.get(shard, {}).values()
        newest = max((s.lsn for s in standings if s.is_fresh), default=0)
        goal = max(newest, wanted.lsn if wanted else 0)
        able = [
            s
            for s in standings
            if s.is_fresh
            and s.is_replica
            and s.timeline is not None
            and goal - s.lsn < MOST_BEHIND_BYTES
            and (wanted is None or s.timeline >= wanted.timeline)
        ]
        if not able:
            return None
        self._turn += 1
        return able[self._turn % len(able)].host

    def position(self, shard: str, host: str) -> tuple[int, int] | None:
        """Return timeline and place in the log that a host has reached at least."""
        standing = self._standings.get(shard, {}).get(host)
        if standing is None or standing.timeline is None or not standing.is_fresh:
            return None
        return standing.timeline, standing.lsn

    def newest_timeline(self, shard: str) -> int:
        """Return the newest history of a shard that was seen; 0 when none was."""
        return max((s.timeline or 0 for s in self._standings.get(shard, {}).values()), default=0)

    async def stop(self) -> None:
        """Sample no more."""
        tasks = [task for some in self._tasks.values() for task in some]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._standings.clear()
        self._addresses.clear()

    def _forget(self, shard: str) -> None:
        for task in self._tasks.pop(shard, []):
            task.cancel()
        self._standings.pop(shard, None)
        self._addresses.pop(shard, None)

    async def _sample(self, shard: str, standing: Standing, dsn: str) -> None:
        while True:
            try:
                connection = await asyncpg.connect(
                    dsn, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=SERVER_SETTINGS
                )
                try:
                    while True:
                        self._take(shard, standing, await _position(connection))
                        await asyncio.sleep(SAMPLE_SECONDS)
                finally:
                    connection.terminate()
            except Exception as error:  # noqa: BLE001 - a host may be away for any reason, and come back
                if standing.sampled_at:
                    log.warning("host_unreadable", shard=shard, host=standing.host, error=repr(error))
                standing.sampled_at = 0.0
                for gauge in (LAG_BYTES, LAG_SECONDS):
                    with contextlib.suppress(KeyError):
                        gauge.remove(shard, standing.host)
            await asyncio.sleep(RETRY_SECONDS)

    def _take(self, shard: str, standing: Standing, row: asyncpg.Record) -> None:
        now = time.monotonic()
        standing.is_replica, standing.timeline, standing.lsn = row["is_replica"], row["timeline"], row["lsn"]
        standing.sampled_at = now
        if not standing.is_replica:
            return
        primary = max((s.lsn for s in self._standings[shard].values() if s.is_fresh), default=0)
        behind = max(0, primary - standing.lsn)
        standing.behind_since = (standing.behind_since or now) if behind else None
        LAG_BYTES.labels(shard, standing.host).set(behind)
        LAG_SECONDS.labels(shard, standing.host).set(now - (standing.behind_since or now))


async def _position(connection: asyncpg.Connection) -> asyncpg.Record:
    row = await connection.fetchrow("select * from platform.position()", timeout=SAMPLE_TIMEOUT_SECONDS)
    assert row is not None  # noqa: S101 - a function always returns its row
    return row
