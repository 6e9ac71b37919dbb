"""Is anybody ever shown less than they have written, while a replica lags, and how much does it serve?

    python -m benchmarks.read_your_writes

A server with a hot standby, the whole of Dana before them, and agents who post a message and read it back at
once, through the gateway. A part of the time the standby stands still. First the agents carry positions; then
the same agents pretend to have seen nothing, and must find stale answers, or the check would prove nothing.
"""

import argparse
import asyncio
import json
import re
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import httpx

from benchmarks.dana import running
from dana.platform.database import address, hosts
from dana.platform.local.postgres import start_postgres
from dana.platform.local.replica import start_replica
from loadtest.consistency import Reader, Tally, furnish, lag_now_and_then, write_and_read

AGENTS = 4
PAUSED_SECONDS = 0.1
PAUSE_EVERY_SECONDS = 1.0
DURABLE: dict[str, str] = {}  # the real settings: every commit is on disk

_READS = re.compile(r'^dana_reads_total\{shard="[^"]+",source="(\w+)"\} ([0-9.e+]+)$', re.MULTILINE)


async def main() -> None:
    """Run both halves and print the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.read_your_writes", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each half")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dana-replica-")))
        home.chmod(0o755)
        primary = start_postgres(home / "primary", DURABLE)
        stack.callback(primary.stop)
        copy = start_replica(primary, home / "replica", DURABLE)
        stack.callback(copy.stop)
        both = ",".join([*hosts(primary.dsn), *hosts(copy.dsn)])
        dsn = address(primary.dsn, database="postgres", host=both)
        async with running({"DANA_DATABASE_URL": dsn}) as (url, data):
            replica = address(copy.dsn, database="postgres")
            print(json.dumps(await _measure(url, _metrics(data), replica, arguments.seconds)))


async def _measure(url: str, metrics: str, replica: str, seconds: float) -> dict[str, float | int]:
    limits = httpx.Limits(max_connections=4 * AGENTS)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as http:
        token, conversations = await furnish(http, AGENTS)
        await asyncio.sleep(2)  # the sampler has met the replica by then
        before = await _reads(http, metrics)
        with_token = await _half(http, token, conversations, replica, seconds, carries_positions=True)
        after = await _reads(http, metrics)
        without = await _half(http, token, conversations, replica, seconds, carries_positions=False)
    served = {source: after.get(source, 0) - before.get(source, 0) for source in ("replica", "primary")}
    for found in with_token.stale[:5]:
        print(f"stale: {found}")
    return {
        "rounds": with_token.rounds + without.rounds,
        "stale_with_token": len(with_token.stale),
        "stale_without_token": len(without.stale),
        "replica_share": round(served["replica"] / max(1, sum(served.values())), 3),
        "rounds_with_token": with_token.rounds,
        "rounds_without_token": without.rounds,
        "refused": with_token.refused + without.refused,
        "paused_share": PAUSED_SECONDS / PAUSE_EVERY_SECONDS,
    }


async def _half(
    http: httpx.AsyncClient,
    token: str,
    conversations: list[str],
    replica: str,
    seconds: float,
    *,
    carries_positions: bool,
) -> Tally:
    tally = Tally()
    end = time.monotonic() + seconds

    def is_over() -> bool:
        return time.monotonic() > end

    connection = await asyncpg.connect(replica)
    try:
        await asyncio.gather(
            lag_now_and_then(
                lambda: connection.execute("select pg_wal_replay_pause()"),
                lambda: connection.execute("select pg_wal_replay_resume()"),
                asyncio.sleep,
                paused_seconds=PAUSED_SECONDS,
                every_seconds=PAUSE_EVERY_SECONDS,
                until=is_over,
            ),
            *(
                write_and_read(
                    Reader(http, token, carries_positions=carries_positions), conversation, tally, is_over
                )
                for conversation in conversations
            ),
        )
    finally:
        await connection.close()
    return tally


def _metrics(data: Path) -> str:
    """Return where the services tell their numbers: not through the gateway."""
    written = json.loads((data / "gateway" / "endpoints-conversations.json").read_text())
    (endpoint,) = written["resources"][0]["endpoints"][0]["lb_endpoints"]
    there = endpoint["endpoint"]["address"]["socket_address"]
    return f"http://{there['address']}:{there['port_value']}/metrics"


async def _reads(http: httpx.AsyncClient, metrics: str) -> dict[str, float]:
    text = (await http.get(metrics)).text
    found: dict[str, float] = {}
    for source, count in _READS.findall(text):
        found[source] = found.get(source, 0.0) + float(count)
    return found


if __name__ == "__main__":
    asyncio.run(main())
