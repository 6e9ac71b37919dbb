"""One of two processes that read through caches what both of them change at random.

It notes each change in Valkey when the database and Valkey have taken it. A read that begins after such a
note, and after the process has heard of all that Valkey knew by then, must show that change or a later one.
Prints one line of JSON at the end.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field

import asyncpg
import msgspec

from dana.contracts.ids import OrgId, new_id
from dana.platform.cache import Cache, Caches, caches
from dana.platform.valkey import Valkey

KEYS = 40
WRITERS = 6
NOTES = "test:noted"


class Row(msgspec.Struct, frozen=True):
    """What both change."""

    version: int
    begun_at: float
    """When its writer began to write it, by the clock of the machine."""


@dataclass(slots=True)
class Tally:
    """What was seen."""

    writes: int = 0
    reads: int = 0
    stale: int = 0
    late_ms: list[float] = field(default_factory=list)
    """How long after a change was begun the former value was still read; allowed until it is delivered."""


class Rival:
    """One process's view."""

    def __init__(self, pool: asyncpg.Pool, notes: Valkey, cache: Cache[Row], org_id: OrgId) -> None:
        self._pool = pool
        self._notes = notes
        self._cache = cache
        self._org_id = org_id
        self.tally = Tally()
        self._last: dict[int, tuple[int, float]] = {}

    async def work(self, until: int) -> None:
        """Write and read at random until enough has been written."""
        while self.tally.writes < until:
            self.tally.writes += 1
            await self._write(random.randrange(KEYS))  # noqa: S311 - a load
            await self._check(random.randrange(KEYS))  # noqa: S311 - the same

    async def read(self, key: int) -> int:
        """Read through the cache."""

        async def load() -> Row:
            row = await self._pool.fetchrow("select version, begun_at from rivals where id = $1", key)
            assert row is not None
            return Row(row["version"], row["begun_at"])

        row = await self._cache.get(self._org_id, str(key), load)
        version, read_at = self._last.get(key, (row.version, 0.0))
        if row.version == version + 1 and read_at > row.begun_at:
            self.tally.late_ms.append((read_at - row.begun_at) * 1000)
        if row.version >= version:
            self._last[key] = (row.version, time.monotonic())
        return row.version

    async def _write(self, key: int) -> None:
        version = await self._pool.fetchval(
            "update rivals set version = version + 1, begun_at = $2 where id = $1 returning version",
            key,
            time.monotonic(),
        )
        if random.random() < 0.5:  # noqa: S311 - both ways of saying it must do
            await self._cache.forget(self._org_id, str(key))
        else:
            self._cache.forget_soon(self._org_id, str(key))
            await self._cache.catch_up(self._org_id, str(key))
        await self._note(key, version)

    async def _note(self, key: int, version: int) -> None:
        noted = int(await self._notes.call("HGET", NOTES, key) or 0)
        if version > noted:  # two writers may pass each other here; then less is asked of readers
            await self._notes.call("HSET", NOTES, key, version)

    async def _check(self, key: int) -> None:
        await self.read(random.randrange(KEYS))  # noqa: S311 - the same
        noted = int(await self._notes.call("HGET", NOTES, key) or 0)
        await self._cache.catch_up(self._org_id, str(key))
        found = await self.read(key)
        self.tally.reads += 1
        self.tally.stale += found < noted


async def main(dsn: str, url: str, org: str, writes: int) -> None:
    """Work, then tell."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=WRITERS)
    notes, made = Valkey(url), Caches(Valkey(url))
    await notes.start()
    await made.start()
    rival = Rival(pool, notes, made.of("rivals", Row), OrgId(new_id() if not org else org_of(org)))
    await asyncio.gather(*(rival.work(writes) for _ in range(WRITERS)))
    tally = rival.tally
    levels = {
        level: caches.READS.labels("rivals", level)._value.get() for level in ("local", "shared", "source")
    }
    late = sorted(tally.late_ms) or [0.0]
    print(  # noqa: T201 - the parent reads it
        json.dumps(
            {
                "writes": tally.writes,
                "reads": tally.reads,
                "stale": tally.stale,
                "late": len(tally.late_ms),
                "late_p50_ms": round(late[len(late) // 2], 2),
                "late_p99_ms": round(late[len(late) * 99 // 100], 2),
                "late_max_ms": round(late[-1], 2),
                "levels": levels,
            }
        )
    )
    await made.stop()
    await notes.stop()
    await pool.close()


def org_of(text: str) -> OrgId:
    """Read an organization's id."""
    return OrgId(msgspec.convert(text, OrgId, strict=False))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
