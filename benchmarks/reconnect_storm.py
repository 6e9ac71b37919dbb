"""How long does it take until everybody is back, when all connections return at once?

    python -m benchmarks.reconnect_storm [--connections 10000]

First the node that holds all connections is killed, and another one, idle until then, takes them all; clients
go there as a gateway would lead them. Then all real-time processes, now two, are killed and started again.
Events are committed all the time, so that all have something to catch up with. Nobody is told when to come
back: the worst case, as clients then wait for less than a second. A restart on purpose spreads them.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from benchmarks.message_path import percentile
from benchmarks.realtime_cluster import Cluster, cluster
from benchmarks.rolling_restart import most_within_a_second

EVENTS_PER_SECOND = 20.0
STEADY_SECONDS = 2.0
NOBODY = "nobody there"
"""How an attempt fails while a node is dead; beside it, each connection may end once."""


async def measure(connections: int) -> dict[str, Any]:
    """Let everybody return twice, and return the last line."""
    async with cluster(connections, nodes=1) as together, together.busy(EVENTS_PER_SECOND):
        taken_over = await _storm(together, connections, lambda: _another_takes_all(together))
        restarted = await _storm(together, connections, lambda: _all_restart(together))
    return {"connections": connections, **taken_over, "after_restart_of_all": restarted}


async def _storm(
    together: Cluster, connections: int, begin: Callable[[], Awaitable[float]]
) -> dict[str, Any]:
    """Begin it, wait until all are back, and tell what happened."""
    await asyncio.sleep(STEADY_SECONDS)
    before = await _cut(together)
    began = await begin()
    await together.all_live(connections)
    told = await together.ask("since", began=began)
    hellos = [at for one in told for at in one["hellos"]]
    resumes = [seconds for one in told for seconds in one["resume_seconds"]]
    cut = await _cut(together) - before
    print(f"{dict(cut)}", file=sys.stderr)
    return {
        "seconds_to_all_ready": round(max(at for one in told for at in one["resumed_at"]) - began, 2),
        "peak_connects_per_second": most_within_a_second(hellos),
        "errors": sum(many for why, many in cut.items() if why != NOBODY) - connections,
        "ready_p50_seconds": round(percentile(resumes, 0.5), 2),
        "ready_p99_seconds": round(percentile(resumes, 0.99), 2),
    }


async def _another_takes_all(together: Cluster) -> float:
    """Kill the node that holds all; the other one is there already."""
    holds_all = together.nodes.pop()
    together.nodes = [await together.add_node()]
    await together.lead()
    began = time.monotonic()
    await holds_all.end()
    return began


async def _all_restart(together: Cluster) -> float:
    """Kill all nodes, now two, and start them again at their addresses."""
    together.nodes.append(await together.add_node())
    await together.lead()
    began = time.monotonic()
    await asyncio.gather(*(node.end() for node in together.nodes))
    together.nodes = list(await asyncio.gather(*(together.add_node(node.port) for node in together.nodes)))
    return began


async def _cut(together: Cluster) -> Counter[str]:
    return sum((Counter(state["cut"]) for state in await together.ask("state")), Counter())


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=10_000)
    print(json.dumps(uvloop.run(measure(parser.parse_args().connections))))


if __name__ == "__main__":
    main()
