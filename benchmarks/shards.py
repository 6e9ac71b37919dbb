"""How many messages a second can be written with one, two and four shards, each on a server of its own?

    python -m benchmarks.shards

Each server has its real settings, so every commit is on disk. Writers in processes of their own run Dana's
whole write transaction (route, fence, conversation's lock, message, event, commit) over organizations that
are spread over the shards. Beside it, in the same run and on the same servers, pgbench runs its simple update
(an update, a select and an insert a transaction): what the servers give to anybody.
"""

import argparse
import asyncio
import json
import multiprocessing
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from benchmarks.bare import bare
from dana.contracts.ids import ConversationId, InboxId, OrgId, new_id
from dana.platform.database import address, hosts, login_of
from dana.platform.identity import SYSTEM
from dana.platform.local.postgres import Postgres, find_binaries, start_postgres
from dana.platform.migrations import migrate
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.conversations import actions
from dana.services.placement.actions.adding import add_shard
from dana.services.placement.actions.desk import Desk

COUNTS = (1, 2, 4)
PROCESSES = 2  # one a core of the smallest machine
WRITERS = 16  # of each process, each in a conversation of its own
ORGANIZATIONS = 16
DURABLE: dict[str, str] = {}
PGBENCH_SCALE = 10
WARM_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Desks:
    """Whose conversations one process writes to."""

    settings: Settings
    conversations: list[tuple[OrgId, ConversationId]]


async def main() -> None:
    """Measure each number of shards and print the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    arguments = parser.parse_args()
    results = []
    for count in COUNTS:
        with ExitStack() as stack:
            results.append(await _measure(stack, count, arguments.seconds))
        print(json.dumps(results[-1]))
    print(json.dumps({"results": results, "writers": PROCESSES * WRITERS}))


async def _measure(stack: ExitStack, count: int, seconds: float) -> dict[str, float | int]:
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dana-shards-")))
    home.chmod(0o755)
    servers = [start_postgres(home / f"server{n}", DURABLE) for n in range(1, count + 1)]
    for server in servers:
        stack.callback(server.stop)
    settings = await _install(home, servers)
    desks = await _furnish(settings)
    pgbench_before = _pgbench(servers, seconds / 2)
    per_second = await asyncio.to_thread(_write, desks, seconds)
    pgbench = (pgbench_before + _pgbench(servers, seconds / 2)) / 2
    return {
        "shards": count,
        "tx_per_second": round(per_second, 1),
        "pgbench_per_second": round(pgbench, 1),
        "pgbench_ratio": round(per_second / pgbench, 3),
    }


async def _install(home: Path, servers: list[Postgres]) -> Settings:
    settings = bare(home, servers[0].dsn, pool_size=WRITERS)
    await migrate(settings)
    shards = Shards(settings, "placement")
    for number, server in enumerate(servers[1:], 2):
        await add_shard(Desk(settings, shards), f"shard{number}", server.dsn, None, lambda _: None)
    await shards.close()
    return settings


async def _furnish(settings: Settings) -> list[Desks]:
    """Open conversations in organizations on all shards, and share them out among the processes."""
    placing, writing = Shards(settings, "auth"), Shards(settings, "conversations")
    conversations: list[tuple[OrgId, ConversationId]] = []
    for _ in range(ORGANIZATIONS):
        org_id = OrgId(new_id())
        await placing.place(org_id)
        async with writing.tx(org_id, SYSTEM) as tx:
            inbox = await actions.create_inbox(
                tx, InboxId(new_id()), actions.new_public_key(), "Web", "", is_assistant_enabled=False
            )
        for _ in range(PROCESSES * WRITERS // ORGANIZATIONS):
            async with writing.tx(org_id, SYSTEM) as tx:
                begun = await actions.start(tx, inbox.id, "Bo", None, None)
            conversations.append((org_id, begun.id))
    await placing.close()
    await writing.close()
    return [Desks(settings, conversations[n::PROCESSES]) for n in range(PROCESSES)]


def _write(desks: list[Desks], seconds: float) -> float:
    """Let all processes write for a while; returns messages a second."""
    context = multiprocessing.get_context("fork")
    pipes, processes = [], []
    for desk in desks:
        ours, theirs = context.Pipe()
        process = context.Process(target=_run_desk, args=(desk, seconds, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    written = sum(int(pipe.recv()) for pipe in pipes)
    for process in processes:
        process.join(10)
    return written / seconds


def _run_desk(desk: Desks, seconds: float, pipe: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(_write_for(desk, seconds)))


async def _write_for(desk: Desks, seconds: float) -> int:
    shards = Shards(replace(desk.settings), "conversations")
    begin = time.perf_counter() + WARM_SECONDS
    counts = await asyncio.gather(
        *(_write_in(shards, *where, begin, begin + seconds) for where in desk.conversations)
    )
    await shards.close()
    return sum(counts)


async def _write_in(
    shards: Shards, org_id: OrgId, conversation_id: ConversationId, begin: float, end: float
) -> int:
    written = 0
    while (now := time.perf_counter()) < end:
        async with shards.tx(org_id, SYSTEM) as tx:
            await actions.reply(tx, conversation_id, f"message at {now}", None, is_private=False)
        written += now >= begin
    return written


def _pgbench(servers: list[Postgres], seconds: float) -> float:
    """Run pgbench on all servers at once; returns transactions a second of all together."""
    clients = max(1, PROCESSES * WRITERS // len(servers))
    commands = []
    for server in servers:
        dsn = address(
            server.dsn, database="postgres", host=f"127.0.0.1:{hosts(server.dsn)[0].rpartition(':')[2]}"
        )
        user, password = login_of(server.dsn)
        arguments = [str(find_binaries() / "pgbench"), "--host", "127.0.0.1", "--username", user]
        arguments += ["--port", dsn.rpartition("@")[2].partition("/")[0].rpartition(":")[2]]
        commands.append((arguments, {"PGPASSWORD": password, "PATH": "/usr/bin:/bin"}))
    for arguments, environment in commands:
        make = [*arguments, "--initialize", "--quiet", f"--scale={PGBENCH_SCALE}", "postgres"]
        subprocess.run(make, env=environment, check=True, capture_output=True)
    load = ["--skip-some-updates", "--protocol=prepared", f"--client={clients}", "--jobs=1"]
    load += [f"--time={max(1, round(seconds))}", "postgres"]
    running = [
        subprocess.Popen(
            [*arguments, *load], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for arguments, environment in commands
    ]
    total = 0.0
    for process in running:
        output, errors = process.communicate(timeout=seconds + 60)
        found = re.search(r"tps = ([0-9.]+)", output)
        if found is None:
            raise SystemExit(output + errors)
        total += float(found.group(1))
    return total


if __name__ == "__main__":
    asyncio.run(main())
