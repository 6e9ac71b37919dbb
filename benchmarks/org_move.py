"""Does an organization lose anything, or for how long can't it write, when it moves to another server?

    python -m benchmarks.org_move [--rounds 3] [--rate 550]

Two PostgreSQL servers with real settings (fsync on). One organization with 200,000 messages and as many
events moves from one to the other, and back, while its customers write, each at fixed times; five others
write beside it, three on its first server and two on the other. The mover is a process of its own, as
`dana shards move` is. At the end every acknowledged message is looked for. The limit is the rate of the bare
transaction on the same server, measured before the first move.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import uvloop

from benchmarks import raw_insert
from benchmarks.bare import bare
from dana.contracts.ids import ConversationId, InboxId, OrgId, new_id
from dana.platform.database import address, without_login
from dana.platform.identity import SYSTEM
from dana.platform.local.postgres import start_postgres
from dana.platform.migrations import migrate, migrate_shard
from dana.platform.servers import CATALOG, administer, seal_login, shard_address
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.conversations import actions
from dana.services.placement.actions import moving
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.moves import Move, MoveId, MoveState

MESSAGES = 200_000
CONVERSATIONS = 2_000
WRITING = 64  # customers of the moved organization who write
OTHERS = {"shard1": 3, "shard2": 2}
OTHERS_RATE = 10.0  # of each
BEFORE_SECONDS = 15.0  # how the others do without a move
MOST_BEHIND_SECONDS = 1.0  # a customer who could not write makes up for no more than this
WRITERS_POOL = 8  # as many connections to a database as a service has

_FILL = """
create temporary table filled as
  select gen_random_uuid() as id, gen_random_uuid() as contact_id from generate_series(1, {conversations});
insert into conversations.contacts (org_id, id, name, created_at)
  select '{org_id}', contact_id, 'Customer', now() from filled;
insert into conversations.conversations (org_id, id, inbox_id, contact_id, status, last_seq, last_text,
    last_author, unread_count, version, turn, last_activity_at, created_at)
  select '{org_id}', f.id, i.id, f.contact_id, 'open', {each}, 'Text', 'customer', 1, {each}, 1, now(), now()
    from filled f, conversations.inboxes i where i.org_id = '{org_id}';
insert into conversations.messages (org_id, id, conversation_id, seq, author, author_name, text, is_private,
    created_at)
  select '{org_id}', gen_random_uuid(), f.id, n, 'customer', 'Customer',
         repeat('Where is my order? ', 8) || n, false, now()
    from filled f, generate_series(1, {each}) n;
insert into platform.event_log (org_id, cursor, id, type, version, aggregate_type, aggregate_id, payload,
    actor, created_at)
  select m.org_id, c.value + row_number() over (), gen_random_uuid(), 'message_appended', 1, 'message',
         m.conversation_id, json_build_object('message', m.text, 'conversation', repeat('x', 400)),
         '{{}}', m.created_at
    from conversations.messages m join platform.org_cursor c on c.org_id = m.org_id
   where m.org_id = '{org_id}';
update platform.org_cursor set value = (
  select max(cursor) from platform.event_log where org_id = '{org_id}') where org_id = '{org_id}';
update conversations.counts set open = open + {conversations} where org_id = '{org_id}'"""


@dataclass
class Writers:
    """The customers of one organization, who write at a rate of their own."""

    shards: Shards
    org_id: OrgId
    conversations: list[ConversationId]
    acknowledged: list[str] = field(default_factory=list)
    finished_at: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    is_open: bool = True

    @classmethod
    async def open(cls, shards: Shards, org_id: OrgId, customers: int) -> "Writers":
        """Begin their conversations."""
        inbox_id, key = InboxId(new_id()), actions.new_public_key()
        async with shards.tx(org_id, SYSTEM) as tx:
            await actions.create_inbox(tx, inbox_id, key, "Web", "Hi", is_assistant_enabled=False)
        writers = cls(shards, org_id, [])
        for _ in range(customers):
            async with shards.tx(org_id, SYSTEM) as tx:
                started = await actions.start(tx, inbox_id, "Bo", None, None)
                await actions.reply(tx, started.id, uuid4().hex, None, is_private=False)
            writers.conversations.append(started.id)
        return writers

    async def run(self, rate: float) -> None:
        """Write until closed, all customers together at this rate."""
        pause = len(self.conversations) / rate
        await asyncio.gather(*(self._customer(one, pause) for one in self.conversations))

    def between(self, began: float, ended: float) -> list[float]:
        """Return the latencies of what was acknowledged within a time."""
        pairs = zip(self.finished_at, self.latencies, strict=True)
        return [latency for at, latency in pairs if began <= at <= ended]

    def longest_gap(self, began: float, ended: float) -> float:
        """Return the longest time without an acknowledgement."""
        times = [began, *(at for at in self.finished_at if began <= at <= ended), ended]
        return max(after - before for before, after in pairwise(times))

    async def _customer(self, conversation_id: ConversationId, pause: float) -> None:
        """Write at fixed times, or when the last message is answered if that is later."""
        planned = time.perf_counter() + pause * random.random()
        while self.is_open:
            await asyncio.sleep(max(0.0, planned - time.perf_counter()))
            planned = max(planned + pause, time.perf_counter() - MOST_BEHIND_SECONDS)
            await self._write(conversation_id)

    async def _write(self, conversation_id: ConversationId) -> None:
        text, began = uuid4().hex, time.perf_counter()
        try:
            async with self.shards.tx(self.org_id, SYSTEM) as tx:
                await actions.receive(tx, conversation_id, text, None)
        except Exception as error:  # noqa: BLE001 - counted and shown
            self.errors[repr(error)[:120]] += 1
            return
        now = time.perf_counter()
        self.acknowledged.append(text)
        self.finished_at.append(now)
        self.latencies.append(now - began)


@dataclass
class Round:
    """What one move did."""

    write_pause_ms: float
    longest_gap_ms: float
    copy_seconds: float
    seconds: float
    others_ratio: float
    writes_per_second: float


async def build(settings: Settings, second_server: str) -> None:
    """Make shard1 on the catalog's server, and shard2 on the second."""
    await migrate(settings)
    await migrate_shard(settings, "shard2", address(second_server, database="dana_shard2"))
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        await catalog.execute(
            "insert into platform.shards (name, address, database) values ('shard2', $1, 'dana_shard2')",
            without_login(second_server),
        )
        await catalog.execute(
            "insert into platform.shard_logins values ('shard2', $1)", seal_login(settings, second_server)
        )


async def place(settings: Settings, shard: str) -> OrgId:
    """Make an organization on a shard."""
    org_id = OrgId(new_id())
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        await catalog.execute("insert into platform.organizations (id, shard) values ($1, $2)", org_id, shard)
    async with administer(await shard_address(settings, shard)) as home:
        await home.execute("select platform.adopt_organization($1, 1)", org_id)
    return org_id


async def fill(settings: Settings, org_id: OrgId) -> None:
    """Give an organization its past."""
    async with administer(await shard_address(settings, "shard1")) as home:
        each = MESSAGES // CONVERSATIONS
        await home.execute(_FILL.format(org_id=org_id, conversations=CONVERSATIONS, each=each))
        await home.execute("vacuum analyze")
        await home.execute("checkpoint")


async def lost_and_doubled(settings: Settings, shard: str, writers: Writers) -> tuple[int, int]:
    """Look for every acknowledged message, and for a hole in the cursors."""
    async with administer(await shard_address(settings, shard)) as home:
        rows = await home.fetch(
            "select text from conversations.messages where org_id = $1 and conversation_id = any ($2)",
            writers.org_id,
            writers.conversations,
        )
        holes = await home.fetchval(
            "select c.value - count(distinct l.cursor) from platform.org_cursor c"
            " join platform.event_log l on l.org_id = c.org_id where c.org_id = $1 group by c.value",
            writers.org_id,
        )
    found = Counter(row["text"] for row in rows)
    lost = sum(text not in found for text in writers.acknowledged) + holes
    return lost, sum(times - 1 for times in found.values())


async def move(settings: Settings, desk: Desk, writers: Writers, others: list[Writers], target: str) -> Round:
    """Let another process move the organization, and look at everybody meanwhile."""
    before = time.perf_counter()
    await asyncio.sleep(BEFORE_SECONDS)
    asked = await moving.request(desk, writers.org_id, target)
    environment = os.environ | {
        "DANA_DATABASE_URL": settings.database_url,
        "DANA_REDIS_URL": "redis://127.0.0.1:1",
        "DANA_DATA": str(settings.data_dir),
        "DANA_SECRETS": str(settings.data_dir / "secrets"),
    }
    began = time.perf_counter()
    driver = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.org_move", "--drive", str(asked.id)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await driver.communicate()
    ended = time.perf_counter()
    done = await moving.find(desk, asked.id)
    if done.state != MoveState.VERIFIED:
        raise SystemExit(f"The move ended as {done.state}: {done.error}")
    quiet, busy = (
        [t for o in others for t in o.between(*span)] for span in ((before, began), (began, ended))
    )
    return Round(
        write_pause_ms=done.write_pause_ms or 0.0,
        longest_gap_ms=writers.longest_gap(began, ended) * 1000,
        copy_seconds=json.loads(said.splitlines()[-1])["copy_seconds"],
        seconds=ended - began,
        others_ratio=p99(busy) / p99(quiet),
        writes_per_second=len(writers.between(began, ended)) / (ended - began),
    )


async def drive(move_id: UUID) -> None:
    """Be the mover's process."""
    settings = Settings.from_environment()
    shards = Shards(settings, "placement")
    entered: dict[MoveState, float] = {}

    def follow(move: Move) -> None:
        entered.setdefault(move.state, time.perf_counter())

    await moving.drive(Desk(settings, shards), MoveId(move_id), follow)
    await shards.close()
    copied = entered[MoveState.SYNCED] - entered[MoveState.COPYING]
    print(json.dumps({"copy_seconds": copied}))


def p99(latencies: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(latencies, n=100)[-1]


async def measure(settings: Settings, rounds: int, rate: float) -> dict[str, Any]:
    """Fill, write, move to and fro, and count."""
    desk = Desk(settings, Shards(settings, "placement"))
    shards = Shards(replace(settings, pool_size=WRITERS_POOL), "conversations")
    moved = await Writers.open(shards, await place(settings, "shard1"), WRITING)
    await fill(settings, moved.org_id)
    bare = await bare_rate(settings, moved)
    others = [
        await Writers.open(shards, await place(settings, shard), 10)
        for shard, many in OTHERS.items()
        for _ in range(many)
    ]
    writing = [asyncio.create_task(moved.run(rate))]
    writing += [asyncio.create_task(other.run(OTHERS_RATE)) for other in others]
    results = []
    for n in range(rounds):
        results.append(await move(settings, desk, moved, others, ("shard2", "shard1")[n % 2]))
        print(results[-1])
    for writers in (moved, *others):
        writers.is_open = False
    await asyncio.gather(*writing)
    lost, duplicated = await lost_and_doubled(settings, ("shard2", "shard1")[(rounds - 1) % 2], moved)
    for closing in (shards, desk.shards):
        await closing.close()
    pauses = [result.write_pause_ms for result in results]
    return {
        "acknowledged": len(moved.acknowledged),
        "lost": lost,
        "duplicated": duplicated,
        "write_pause_ms": round(statistics.median(pauses), 1),
        "longest_gap_ms": round(max(result.longest_gap_ms for result in results), 1),
        "copy_seconds": round(statistics.median(result.copy_seconds for result in results), 1),
        "other_orgs_p99_ratio": round(statistics.median(result.others_ratio for result in results), 2),
        "write_pauses_ms": [round(pause, 1) for pause in pauses],
        "writes_per_second": round(min(result.writes_per_second for result in results)),
        "bare_tx_per_second": round(bare),
        "errors": dict(sum((w.errors for w in [moved, *others]), Counter())),
    }


async def bare_rate(settings: Settings, writers: Writers) -> float:
    """Measure how many bare transactions the source's server does in a second, by as many connections."""
    dsn = address(
        settings.database_url,
        database="dana_shard1",
        user=raw_insert.ROLE,
        password=settings.secrets.password(raw_insert.ROLE),
    )
    pool = await asyncpg.create_pool(dsn, min_size=WRITERS_POOL, max_size=WRITERS_POOL, reset=_as_it_is)
    targets = [raw_insert._Target("shard1", writers.org_id, 1, one) for one in writers.conversations]
    durations: list[float] = []
    until = time.perf_counter() + raw_insert.SECONDS
    await asyncio.gather(
        *(
            raw_insert._write({"shard1": pool}, targets[n::WRITERS_POOL], until, durations)
            for n in range(WRITERS_POOL)
        )
    )
    await pool.close()
    return len(durations) / raw_insert.SECONDS


async def _as_it_is(connection: Any) -> None:
    """All settings and locks end with their transaction."""


async def main() -> None:
    """Measure, or be the mover."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=550)
    parser.add_argument("--drive", type=UUID, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        await drive(arguments.drive)
        return
    with tempfile.TemporaryDirectory(prefix="dana-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        first, second = start_postgres(home / "first", {}), start_postgres(home / "second", {})
        try:
            settings = bare(home, first.dsn)
            await build(settings, second.dsn)
            result = await measure(settings, arguments.rounds, arguments.rate)
        finally:
            first.stop()
            second.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main())
