"""What does a read cost from this process, from Valkey, and from the database behind?

    python -m benchmarks.cache

Each level is asked one after the other (its latency) and by many at once (its rate). Beside them, in the same
run: a bare GET from Valkey, and a bare read of a row by its key from PostgreSQL, over the same drivers. A
miss is everything: Valkey is asked, the lease taken, the row read in a transaction of its organization, and
Valkey filled. At the end, what it is for: a widget's settings as the application answers them, with the
caches, and with a dead Valkey and therefore without.
"""

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import msgspec
import structlog
import uvloop

from benchmarks.bare import bare
from dana.app import compose, started
from dana.contracts.ids import OrgId, new_id
from dana.platform.cache import Cache, Caches
from dana.platform.database import address
from dana.platform.gateway.model import Upstream
from dana.platform.http.asgi import Application, Message
from dana.platform.local.postgres import start_postgres
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import migrate
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey

AT_ONCE = 32
KEYS = 2_000


class Kept(msgspec.Struct, frozen=True):
    """As large as what a widget shows."""

    name: str
    greeting: str
    is_assistant_enabled: bool


Operation = Callable[[int], Awaitable[object]]


class Bench:
    """An organization with rows, and caches before it."""

    def __init__(self, shards: Shards, caches: Caches, valkey: Valkey, pool: asyncpg.Pool) -> None:
        self._shards = shards
        self._caches = caches
        self._cache: Cache[Kept] = caches.of("bench", Kept)
        self._valkey = valkey
        self._pool = pool
        self._misses = 0
        self.org_id = OrgId(new_id())

    async def furnish(self) -> None:
        """Make the organization, and something to read."""
        await self._shards.place(self.org_id)
        await self._valkey.call("SET", "bench:bare", "x" * 120)

    async def local(self, turn: int) -> None:
        """Read what this process has."""
        await self._cache.get(self.org_id, str(turn % KEYS), self._load)

    async def shared(self, turn: int) -> None:
        """Read what only Valkey has."""
        await self._cache.get(self.org_id, str(turn % KEYS), self._load, is_exact=True)

    async def miss(self, _: int) -> None:
        """Read what nobody has."""
        self._misses += 1
        await self._cache.get(self.org_id, f"miss {self._misses}", self._load)

    async def valkey_get(self, _: int) -> None:
        """Ask Valkey, and nothing else."""
        await self._valkey.call("GET", "bench:bare")

    async def postgres_read(self, _: int) -> None:
        """Read a row by its key, and nothing else."""
        async with self._pool.acquire() as connection:
            await connection.fetchrow(
                "select value, org_id from platform.org_cursor where org_id = $1", self.org_id
            )

    async def _load(self) -> Kept:
        async with self._shards.read(self.org_id) as tx:
            row = await tx.fetchrow("select value, org_id from platform.org_cursor")
        return Kept(name=str(row), greeting="How can we help you today? " * 3, is_assistant_enabled=True)


async def main() -> None:
    """Measure every level and print the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cache", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each half of each level")
    seconds = parser.parse_args().seconds
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dana-cache-")))
        home.chmod(0o755)
        postgres = start_postgres(home / "postgres")
        stack.callback(postgres.stop)
        server = start_valkey(home)
        stack.callback(server.stop)
        settings = bare(home, postgres.dsn, redis_url=server.url, shard_count=2, pool_size=AT_ONCE)
        await migrate(settings)
        results = await _measure_levels(settings, seconds)
        results["widget_settings"] = await _measure_api(settings, "widget_settings", seconds)
        dead = replace(settings, redis_url="redis://127.0.0.1:1/0")
        results["widget_settings_uncached"] = await _measure_api(dead, "widget_settings_uncached", seconds)
        print(json.dumps({"level": "all", **results}))


async def _measure_levels(settings: Settings, seconds: float) -> dict[str, object]:
    valkey, caches = Valkey(settings.redis_url), Caches(Valkey(settings.redis_url))
    await asyncio.gather(valkey.start(), caches.start())
    shards = Shards(settings, "auth")
    home = (await shards.catalog.shards())["shard1"]
    pool = await asyncpg.create_pool(
        address(settings.database_url, database=home.database), min_size=AT_ONCE, max_size=AT_ONCE
    )
    bench = Bench(shards, caches, valkey, pool)
    await bench.furnish()
    for turn in range(KEYS):
        await bench.local(turn)
    results: dict[str, object] = {}
    operations: dict[str, Operation] = {
        "l1_hit": bench.local,
        "l2_hit": bench.shared,
        "miss": bench.miss,
        "bare_valkey_get": bench.valkey_get,
        "bare_postgres_read": bench.postgres_read,
    }
    for level, operation in operations.items():
        results[level] = await _both(level, operation, seconds)
    await pool.close()
    await shards.close()
    await caches.stop()
    await valkey.stop()
    return results


async def _measure_api(settings: Settings, name: str, seconds: float) -> dict[str, object]:
    """Ask the whole application, without a network around it, for what every page with a widget asks for."""
    whole = compose(settings, (Upstream.AUTH, Upstream.CONVERSATIONS))
    async with started(whole):
        transport = httpx.ASGITransport(app=whole.http)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/") as http:
            who = {"email": f"{new_id()}@example.org", "password": "correct horse battery"}
            session = (await http.post("auth/signup", json=who | {"name": "A", "organization": "A"})).json()
            http.headers["authorization"] = f"Bearer {session['access_token']}"
            inbox = (await http.post("inboxes", json={"name": "Shop", "channel": "web_widget"})).json()
        path = f"/api/v1/widget/{inbox['public_key']}"
        return await _both(name, lambda _: _get(whole.http, path), seconds)


async def _get(app: Application, path: str) -> None:
    statuses: list[int] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 4242),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    if statuses != [200]:
        raise SystemExit(f"{path} answered {statuses}")


async def _both(level: str, operation: Operation, seconds: float) -> dict[str, object]:
    """Measure latency and rate, and print them."""
    p50 = await _latency(operation, seconds)
    rate = await _rate(operation, seconds)
    result: dict[str, object] = {"p50_us": round(p50, 1), "ops_per_second": round(rate)}
    print(json.dumps({"level": level, **result}), flush=True)
    return result


async def _latency(operation: Operation, seconds: float) -> float:
    """Return the median of one after the other, in microseconds."""
    durations: list[float] = []
    until = time.perf_counter() + seconds
    turn = 0
    while (started := time.perf_counter()) < until:
        await operation(turn)
        durations.append(time.perf_counter() - started)
        turn += 1
    return statistics.median(durations) * 1e6


async def _rate(operation: Operation, seconds: float) -> float:
    """Return how many a second come from many at once."""
    done = 0
    began = time.perf_counter()
    until = began + seconds

    async def work(first: int) -> None:
        nonlocal done
        turn = first
        while time.perf_counter() < until:
            for _ in range(20):  # what never waits must not keep the others from their turn for long
                await operation(turn)
                turn += 1
                done += 1
            await asyncio.sleep(0)

    await asyncio.gather(*(work(number * 61) for number in range(AT_ONCE)))
    return done / (time.perf_counter() - began)


if __name__ == "__main__":
    uvloop.run(main())
