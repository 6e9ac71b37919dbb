"""How long do organizations with one question each wait while another one floods the assistant?

    python -m benchmarks.fairness [--flood 500] [--others 40] [--model-seconds 1.0]

The bus, its claims and PostgreSQL are real; only the model is simulated, by a pause of the same random length
for each job in each part. First without a flood; then with it, claimed in the order of arrival; then claimed
by the lanes' own fair claim, with its cap. The claim by arrival is exchanged inside the benchmark's database.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bare import bare
from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.bus import SLOTS, Bus, Envelope, Lane, PostgresBinding, Worker
from dana.platform.identity import SYSTEM
from dana.platform.local.postgres import start_postgres
from dana.platform.migrations import migrate
from dana.platform.servers import administer, shard_address
from dana.platform.settings import Settings
from dana.platform.shards import Shards

FLOOD_AT_ONCE = 50  # events in one transaction
BETWEEN_OTHERS_SECONDS = 0.05
PATIENCE_SECONDS = 120.0

BY_ARRIVAL = """
create or replace function platform.claim(
  for_group text, for_lane text, at_most int, lease interval, token uuid, most_leased int default 1000
) returns table (
  org_id uuid, cursor bigint, attempts int, id uuid, type text, payload text, created_at timestamptz
)
language sql volatile security definer set search_path = pg_catalog as $$
  with head as (
    select d.org_id, d.cursor from platform.deliveries d
     where d.consumer_group = for_group and d.lane = for_lane and d.state = 'ready' and not d.is_waiting
       and (d.leased_until is null or d.leased_until < clock_timestamp())
       and (d.key is null or not exists (
             select from platform.deliveries e
              where e.org_id = d.org_id and e.consumer_group = d.consumer_group and e.lane = d.lane
                and e.key = d.key and e.cursor < d.cursor and e.state = 'ready'))
     order by d.available_at limit at_most for update skip locked
  ), claimed as (
    update platform.deliveries d
       set leased_until = clock_timestamp() + lease, lease_token = token, attempts = d.attempts + 1
      from head
     where d.org_id = head.org_id and d.cursor = head.cursor
       and d.consumer_group = for_group and d.lane = for_lane
    returning d.org_id, d.cursor, d.attempts, d.event_created_at
  )
  select c.org_id, c.cursor, c.attempts, l.id, l.type, l.payload::text, l.created_at
    from claimed c
    join platform.event_log l
      on l.org_id = c.org_id and l.cursor = c.cursor and l.created_at = c.event_created_at
$$"""


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do."""

    flood: int
    others: int
    model_seconds: float


@dataclass(slots=True)
class Hall:
    """Everybody who asks, and how long each waited for the answer."""

    shards: Shards
    load: Load
    asked: dict[OrgId, float] = field(default_factory=dict)
    waited: dict[OrgId, float] = field(default_factory=dict)
    flooded: int = 0

    async def work(self, envelope: Envelope, event: OrganizationCreated) -> None:
        """Take as long as a model would for this job, the same in each part."""
        pause = random.Random(event.name).uniform(0.5, 1.5) * self.load.model_seconds
        await asyncio.sleep(pause)
        if envelope.org_id in self.asked:
            self.waited[envelope.org_id] = time.perf_counter() - self.asked[envelope.org_id]
        else:
            self.flooded += 1

    async def fill(self, org_id: OrgId) -> None:
        """Let one organization flood the lane."""
        for first in range(0, self.load.flood, FLOOD_AT_ONCE):
            async with self.shards.tx(org_id, SYSTEM) as tx:
                for n in range(first, min(first + FLOOD_AT_ONCE, self.load.flood)):
                    tx.emit(OrganizationCreated(name=f"flood {n}"))

    async def ask(self, orgs: list[OrgId]) -> None:
        """Let all others ask one question each, one shortly after the other."""
        for n, org_id in enumerate(orgs):
            self.asked[org_id] = time.perf_counter()
            async with self.shards.tx(org_id, SYSTEM) as tx:
                tx.emit(OrganizationCreated(name=f"question {n}"))
            await asyncio.sleep(BETWEEN_OTHERS_SECONDS)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for an end."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not true():
                await asyncio.sleep(0.01)


async def measure(load: Load) -> dict[str, float]:
    """Run all three parts."""
    with tempfile.TemporaryDirectory(prefix="dana-fairness-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        postgres = start_postgres(home / "postgres")
        try:
            settings = bare(home, postgres.dsn)
            await migrate(settings)
            figures = {"unloaded_p95_s": await _part(settings, load, "nobody floods", has_flood=False)}
            fair = await _part(settings, load, "least virtual time, with a cap", has_flood=True)
            async with administer(await shard_address(settings, "shard1")) as shard:
                await shard.execute(BY_ARRIVAL)
            fifo = await _part(settings, load, "in the order of arrival", has_flood=True)
            return {"fifo_p95_s": fifo, "fair_p95_s": fair} | figures
        finally:
            postgres.stop()


async def _part(settings: Settings, load: Load, title: str, *, has_flood: bool) -> float:
    shards, auth = Shards(settings, "conversations"), Shards(settings, "auth")
    flooding, *others = [OrgId(new_id()) for _ in range(load.others + 1)]
    for org_id in (flooding, *others):
        await auth.place(org_id)
    hall, binding = Hall(shards, load), PostgresBinding()
    shards.on_commit.append(binding.committed)
    bus = Bus("benchmark", shards, [Worker(OrganizationCreated, hall.work, Lane.AI)], binding)
    await bus.start()
    began = time.perf_counter()
    if has_flood:
        await hall.fill(flooding)
    await hall.ask(others)
    await hall.until(lambda: len(hall.waited) == load.others)
    await hall.until(lambda: hall.flooded == (load.flood if has_flood else 0))
    ended = time.perf_counter()
    await bus.stop()
    await shards.close()
    await auth.close()
    waits = sorted(hall.waited.values())
    p50, p95 = waits[len(waits) // 2], waits[int(len(waits) * 0.95)]
    print(
        f"{title:32} others waited p50 {p50:6.2f} s, p95 {p95:6.2f} s; all done after {ended - began:5.1f} s"
    )
    return round(p95, 3)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--flood", type=int, default=500, help="jobs of the one organization")
    parser.add_argument("--others", type=int, default=40, help="organizations with one job each")
    parser.add_argument("--model-seconds", type=float, default=1.0, help="what a model takes, on average")
    arguments = parser.parse_args()
    print(f"{SLOTS[Lane.AI]} slots; {arguments.flood} jobs of one, 1 each of {arguments.others} others")
    print(json.dumps(await measure(Load(arguments.flood, arguments.others, arguments.model_seconds))))


if __name__ == "__main__":
    asyncio.run(main())
