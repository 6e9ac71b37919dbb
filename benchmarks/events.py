"""How many events a second reach their consumer, how fast, and does each count once and in its order?

    python -m benchmarks.events --binding postgresql|rabbitmq [--rate 200] [--seconds 10] [--events 4000]

One process commits events, a second one consumes them; what it makes of each stands in PostgreSQL. First at a
steady rate, for the latency from before the commit to the beginning of the effect; then as fast as it goes.
Beside it, in the same run, the limit: with RabbitMQ its own rate (the same messages, confirms and kinds of
queue, published and consumed by the same client, without PostgreSQL), else the bare claim and finish.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import events_limits as limits
from benchmarks.bare import bare
from dana.contracts.events import MemberChanged
from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import MemberView, Role
from dana.platform.broker import binding_of
from dana.platform.bus import Bus, Consumer
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.local.postgres import start_postgres
from dana.platform.local.rabbitmq import start_rabbitmq
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import migrate
from dana.platform.servers import administer, shard_addresses
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey

ORGANIZATIONS = 10
KEYS = 5  # in each organization: what has an order of its own
WRITERS = 8
GROUP = "bench"
PATIENCE_SECONDS = 120.0

TABLES = """
create schema bench;
create table bench.effects (
  org_id uuid not null, key uuid not null, n int not null, seconds double precision not null,
  place bigint generated always as identity
);
grant usage on schema bench to dana_service;
grant select, insert on bench.effects to dana_service"""


@dataclass(slots=True)
class Stage:
    """Two shards, some organizations, and somebody who consumes elsewhere."""

    settings: Settings
    writing: Shards
    orgs: list[OrgId]
    people: dict[OrgId, list[UserId]]
    said: Counter[UserId] = field(default_factory=Counter)
    turns: dict[UserId, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def say(self, org_id: OrgId, number: int) -> None:
        """Commit one event; its name says which of its key it is, and when it began."""
        person, began = self.people[org_id][number % KEYS], time.time()
        async with self.turns[person]:  # what two say of one key at once has no order to be kept
            self.said[person] += 1
            name = f"{self.said[person]} {began}"
            member = MemberView(user_id=person, name=name, email="a@b.example", role=Role.AGENT)
            async with self.writing.tx(org_id, SYSTEM) as tx:
                tx.emit(MemberChanged(member=member))

    async def effects(self) -> list[tuple[UserId, int, float]]:
        """Key, number and seconds of every effect, in the order in which they came."""
        found = []
        for dsn in (await shard_addresses(self.settings)).values():
            async with administer(dsn) as shard:
                rows = await shard.fetch("select key, n, seconds from bench.effects order by place")
            found += [(UserId(row["key"]), row["n"], row["seconds"]) for row in rows]
        return found

    async def all_done(self) -> None:
        """Return when as many effects are there as events were committed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self._count() < sum(self.said.values()):
                await asyncio.sleep(0.02)

    async def _count(self) -> int:
        pools = [await self.writing.pool(shard) for shard in await self.writing.names()]
        return sum([await pool.fetchval("select count(*) from bench.effects") for pool in pools])


async def steady(stage: Stage, rate: float, seconds: float) -> list[float]:
    """Commit at a fixed rate; returns the milliseconds until each event's effect."""
    before = len(await stage.effects())
    tasks = []
    began = time.perf_counter()
    for n in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(_in_turn(stage, n)))
    await asyncio.gather(*tasks)
    await stage.all_done()
    return [seconds * 1000 for _, _, seconds in (await stage.effects())[before:]]


async def _in_turn(stage: Stage, n: int) -> None:
    await stage.say(stage.orgs[n % ORGANIZATIONS], n // ORGANIZATIONS)


async def flat_out(stage: Stage, events: int) -> float:
    """Commit as fast as some writers can; returns events a second until the last effect."""
    numbers = iter(range(events))

    async def write() -> None:
        for n in numbers:
            await _in_turn(stage, n)

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    await stage.all_done()
    return events / (time.perf_counter() - began)


def judge(stage: Stage, effects: list[tuple[UserId, int, float]]) -> dict[str, int]:
    """Count what is missing, doubled, or behind its successor."""
    numbers: dict[UserId, list[int]] = {person: [] for person in stage.said}
    for person, n, _ in effects:
        numbers[person].append(n)
    return {
        "lost": sum(len(set(range(1, many + 1)) - set(numbers[who])) for who, many in stage.said.items()),
        "duplicated_effects": sum(len(seen) - len(set(seen)) for seen in numbers.values()),
        "out_of_order": sum(
            later < earlier for seen in numbers.values() for earlier, later in pairwise(seen)
        ),
    }


@asynccontextmanager
async def staged(binding_name: str, home: Path) -> AsyncIterator[Stage]:
    """Start the servers and the consuming process."""
    postgres, valkey = start_postgres(home / "postgres", {}), start_valkey(home / "valkey")
    broker = start_rabbitmq(home / "rabbitmq") if binding_name == "rabbitmq" else None
    settings = bare(
        home, postgres.dsn, redis_url=valkey.url, shard_count=2, rabbitmq_url=broker.url if broker else ""
    )
    process = None
    try:
        await migrate(settings)
        for dsn in (await shard_addresses(settings)).values():
            async with administer(dsn) as shard:
                await shard.execute(TABLES)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.events", "--consume"],
            env=os.environ | _environment(settings),
            stdout=subprocess.PIPE,
        )
        await asyncio.to_thread(process.stdout.readline)  # type: ignore[union-attr]
        yield await _furnished(settings)
    finally:
        if process:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait)
        for server in (broker, valkey, postgres):
            if server:
                server.stop()


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "DANA_DATA": str(settings.data_dir),
        "DANA_DATABASE_URL": settings.database_url,
        "DANA_REDIS_URL": settings.redis_url,
        "DANA_RABBITMQ_URL": settings.rabbitmq_url,
        "DANA_SECRETS": str(settings.data_dir / "secrets"),
    }


async def _furnished(settings: Settings) -> Stage:
    shards = Shards(settings, "auth")
    orgs = [OrgId(new_id()) for _ in range(ORGANIZATIONS)]
    for org_id in orgs:
        await shards.place(org_id)
    people = {org_id: [UserId(new_id()) for _ in range(KEYS)] for org_id in orgs}
    return Stage(settings, shards, orgs, people)


async def consume() -> None:
    """Consume in this process until SIGTERM, and say when it has begun."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings.from_environment()
    shards, valkey = Shards(settings, "conversations"), Valkey(settings.redis_url)
    await valkey.start()
    binding = binding_of(settings, valkey)

    async def note(tx: Tx, event: MemberChanged) -> None:
        n, began = event.member.name.split()
        seconds = time.time() - float(began)
        await tx.execute(
            "insert into bench.effects (org_id, key, n, seconds) values ($1, $2, $3, $4)",
            tx.org_id,
            event.member.user_id,
            int(n),
            seconds,
        )

    await binding.start()
    bus = Bus(GROUP, shards, [Consumer(MemberChanged, note)], binding)
    await bus.start()
    await asyncio.sleep(2)  # until tokens flow
    print("ready", flush=True)
    await stop.wait()
    await bus.stop()
    await binding.stop()
    await shards.close()
    await valkey.stop()


async def measure(binding_name: str, rate: float, seconds: float, events: int) -> dict[str, Any]:
    """Run everything; returns the last line."""
    with tempfile.TemporaryDirectory(prefix="dana-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        async with staged(binding_name, home) as stage:
            valkey = Valkey(stage.settings.redis_url)
            await valkey.start()
            # This process only writes; relays are in the other one, woken over Valkey.
            binding = binding_of(replace(stage.settings, rabbitmq_url=""), valkey)
            stage.writing.on_commit.append(binding.committed)
            await steady(stage, rate, min(2.0, seconds))
            latencies = sorted(await steady(stage, rate, seconds))
            print(f"{len(latencies)} at {rate:g}/s: p50 {statistics.median(latencies):.1f} ms", flush=True)
            per_second = await flat_out(stage, events)
            print(f"{events} as fast as it goes: {per_second:.0f}/s", flush=True)
            verdict = judge(stage, await stage.effects())
            await binding.stop()
            await stage.writing.close()
            await valkey.stop()
            limit = limits.of_broker if binding_name == "rabbitmq" else limits.of_postgresql
            return {
                "binding": binding_name,
                "events_per_second": round(per_second, 1),
                "p50_ms": round(statistics.median(latencies), 2),
                "p99_ms": round(latencies[int(len(latencies) * 0.99)], 2),
                **verdict,
                "rate": rate,
                **await limit(stage.settings, stage.orgs, events),
            }


def main() -> None:
    """Parse, measure, print one JSON line last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binding", choices=("postgresql", "rabbitmq"), default="postgresql")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--consume", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.consume:
        uvloop.run(consume())
        return
    print(json.dumps(uvloop.run(measure(wanted.binding, wanted.rate, wanted.seconds, wanted.events))))


if __name__ == "__main__":
    main()
