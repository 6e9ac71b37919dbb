"""How long is nothing written when the primary is killed, and is anything lost that was acknowledged?

python -m benchmarks.failover

Three nodes under Patroni on this machine, the whole of Dana with its gateway, agents writing through the API.
Beside it, in the same run, `server_seconds`: after how long PostgreSQL itself took a write again.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.dana import running
from dana.platform.database import address
from dana.platform.primary import connect
from deploy.failover.cluster import Cluster, running_cluster
from deploy.failover.drill import Drill
from deploy.failover.patroni import Node

BEFORE_SECONDS = 5.0
AFTER_SECONDS = 3.0
PATIENCE_SECONDS = 120.0
PROBE_PAUSE_SECONDS = 0.02

Kill = Callable[[Cluster], Node]
MODES: dict[str, dict[str, Kill]] = {
    "synchronous": {
        "postgres": Cluster.kill_postgres,
        "node": Cluster.kill_node,
        "node, standbys 1 s behind": Cluster.kill_unsent,
        "node, frozen": Cluster.freeze_node,
    },
    "asynchronous": {"node": Cluster.kill_node, "node, standbys 1 s behind": Cluster.kill_unsent},
}


async def main() -> None:
    """Run every case, each mode on a cluster of its own."""
    cases = []
    for mode, kills in MODES.items():
        with tempfile.TemporaryDirectory(prefix="dana-failover-") as folder:
            Path(folder).chmod(0o755)  # PostgreSQL's account has to get through to its own folder
            with running_cluster(Path(folder), is_synchronous=mode == "synchronous", settings={}) as cluster:
                async with running({"DANA_DATABASE_URL": cluster.dsn}) as (url, _):
                    for name, kill in kills.items():
                        case = {"mode": mode, "kill": name} | await measure(cluster, url, kill)
                        print(json.dumps(case), flush=True)
                        cases.append(case)
                        cluster.heal()
    print(json.dumps({"cases": cases}))


async def measure(cluster: Cluster, url: str, kill: Kill) -> dict[str, Any]:
    """Write, kill, wait for the first acknowledgement, write on, and count."""
    drill = Drill(url)
    async with drill.prepared():
        async with drill.under_load():
            await asyncio.sleep(BEFORE_SECONDS)
            killed = await asyncio.to_thread(kill, cluster)
            killed_at = time.monotonic()
            survivors = [node for node in cluster.nodes if node is not killed]
            written_at = await _first_write(cluster, survivors)
            await drill.acknowledgements_after(written_at, 1, PATIENCE_SECONDS)
            await asyncio.sleep(AFTER_SECONDS)
        found = await drill.read_back()
    tally = drill.tally
    for wrong in tally.wrong:
        print(wrong)
    return {
        "first_ack_seconds": round(tally.silence_after(killed_at)[1] - killed_at, 1),
        "server_seconds": round(written_at - killed_at, 1),
        "acknowledged": len(tally.acknowledged),
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "refused": tally.answers[503],
        "other_errors": len(tally.wrong) + tally.unanswered,
    }


async def _first_write(cluster: Cluster, survivors: list[Node]) -> float:
    """Try until one of these nodes commits a write; returns when."""
    addresses = [
        address(cluster.dsn, database="postgres", host=f"127.0.0.1:{node.port}") for node in survivors
    ]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                connection = await connect(addresses, timeout=PROBE_PAUSE_SECONDS * 50)
                try:
                    await connection.execute("select pg_current_xact_id()")
                    return time.monotonic()
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError, asyncpg.exceptions.TargetServerAttributeNotMatched):
                await asyncio.sleep(PROBE_PAUSE_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())
