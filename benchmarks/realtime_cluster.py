"""Does anybody miss, double or swap an event when a node is killed and Valkey starts anew?

    python -m benchmarks.realtime_cluster [--connections 15000] [--rate 100]

Two nodes joined by Valkey, agents of many organizations in several client processes, and somebody who
commits events to the database all the time. Then: kill -9 of a node, kill -9 of Valkey, kill -9 of the other
node; each is started again after two seconds. Clients come back by themselves, and each checks each event.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvloop

from benchmarks.children import Child, ending, python, start
from benchmarks.message_path import percentile
from benchmarks.node import Ground, ground
from benchmarks.rolling_restart import added
from dana.contracts.events import InboxChanged
from dana.contracts.ids import InboxId, OrgId, new_id
from dana.contracts.views import InboxView
from dana.platform.fanout import Fanout
from dana.platform.identity import SYSTEM
from dana.platform.local.programs import free_port, kill
from dana.platform.local.valkey import start_valkey
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey

ORGANIZATION = 50  # agents in each
CLIENT_PROCESSES = 3  # a process may have 20,000 descriptors, and one core's time
NODES = 2
WRITERS = 4
DOWN_SECONDS = 2.0
STEADY_SECONDS = 4.0  # before and after whatever is done
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.2


@dataclass(slots=True)
class Cluster:
    """Nodes, clients, and somebody who writes."""

    earth: Ground
    children: list[Child]
    organizations: list[OrgId]
    nodes: list[Child] = field(default_factory=list)
    crowds: list[Child] = field(default_factory=list)
    newest: dict[OrgId, int] = field(default_factory=dict)
    committed: int = 0

    async def begin(self, connections: int, nodes: int) -> None:
        """Start the nodes and let everybody come."""
        self.nodes = [await self.add_node() for _ in range(nodes)]
        for _ in range(CLIENT_PROCESSES):
            self.crowds.append(await start(python("benchmarks.returning"), self.earth.environment))
            self.children.append(self.crowds[-1])
        each = ORGANIZATION // CLIENT_PROCESSES
        orgs = [org.hex for org in self.organizations]
        for number, crowd in enumerate(self.crowds):
            more = ORGANIZATION % CLIENT_PROCESSES if number == 0 else 0
            await crowd.ask("open", urls=self._urls(), organizations=orgs, each=each + more)
        await self.all_live(connections)

    async def add_node(self, port: int = 0) -> Child:
        """Start a node, at a free port if none is told."""
        environment = self.earth.environment | {"DANA_REALTIME_PORT": str(port or free_port())}
        node = await start(python("benchmarks.node"), environment)
        self.children.append(node)
        return node

    async def lead(self) -> None:
        """Let clients come to the nodes as they are now, from their next attempt on."""
        await self.ask("lead", urls=self._urls())

    async def all_live(self, connections: int) -> None:
        """Return when each client has been sent everything that it had missed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(state["live"] for state in await self.ask("state")) < connections:
                await asyncio.sleep(POLL_SECONDS)

    async def ask(self, name: str, **arguments: Any) -> list[Any]:
        """Ask all client processes."""
        return await asyncio.gather(*(crowd.ask(name, **arguments) for crowd in self.crowds))

    async def kill_node(self, number: int) -> None:
        """Kill -9 a node, and start it again."""
        await self.nodes[number].end()
        await asyncio.sleep(DOWN_SECONDS)
        self.nodes[number] = await self.add_node(self.nodes[number].port)

    async def restart_valkey(self) -> None:
        """Kill -9 Valkey, and start it again."""
        old = self.earth.valkey
        kill(old.process)
        old.process.wait()
        await asyncio.sleep(DOWN_SECONDS)
        port = int(old.url.rpartition(":")[2].partition("/")[0])
        self.earth.valkey = start_valkey(self.earth.home / "valkey", port)

    async def settled(self) -> dict[str, int]:
        """Return the verdict, once everybody has everything or no more comes."""
        newest = {org.hex: cursor for org, cursor in self.newest.items()}
        ends_at = time.monotonic() + PATIENCE_SECONDS / 4
        while any(await self.ask("behind", newest=newest)) and time.monotonic() < ends_at:
            await asyncio.sleep(POLL_SECONDS)
        verdicts = await self.ask("judge", newest=newest)
        return {name: sum(verdict[name] for verdict in verdicts) for name in verdicts[0]}

    @asynccontextmanager
    async def busy(self, rate: float) -> AsyncIterator[None]:
        """Commit events at a rate, for the length of the block."""
        shards, valkey = Shards(self.earth.settings, "conversations"), Valkey(self.earth.settings.redis_url)
        await valkey.start()
        shards.on_commit.append(Fanout(valkey).committed)
        turns = itertools.cycle(self.organizations)
        leave = asyncio.Event()

        async def write() -> None:
            while not leave.is_set():
                due = time.monotonic() + WRITERS / rate
                await self._commit(shards, next(turns))
                await asyncio.sleep(max(0.0, due - time.monotonic()))

        writers = [asyncio.create_task(write()) for _ in range(WRITERS)]
        try:
            yield
        finally:
            leave.set()
            await asyncio.gather(*writers)
            await valkey.stop()
            await shards.close()

    async def _commit(self, shards: Shards, org_id: OrgId) -> None:
        async with shards.tx(org_id, SYSTEM) as tx:
            tx.emit(InboxChanged(inbox=_inbox(self.committed)))
        self.committed += 1
        self.newest[org_id] = self.newest.get(org_id, 0) + 1

    def _urls(self) -> list[str]:
        return [f"http://127.0.0.1:{node.port}" for node in self.nodes]


@asynccontextmanager
async def cluster(connections: int, nodes: int) -> AsyncIterator[Cluster]:
    """Start everything, with everybody connected."""
    async with ground() as earth:
        children: list[Child] = []
        async with ending(children):
            organizations = await earth.place(connections // ORGANIZATION)
            together = Cluster(earth, children, organizations)
            began = time.monotonic()
            await together.begin(connections, nodes)
            print(f"{connections} connected in {time.monotonic() - began:.1f} s", file=sys.stderr)
            yield together


async def measure(connections: int, rate: float) -> dict[str, Any]:
    """Do everything, and return the last line."""
    async with cluster(connections, NODES) as together:
        trouble: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("kill -9 of a node", lambda: together.kill_node(0)),
            ("kill -9 of Valkey", together.restart_valkey),
            ("kill -9 of the other node", lambda: together.kill_node(1)),
        ]
        began = time.monotonic()
        async with together.busy(rate):
            await asyncio.sleep(STEADY_SECONDS)
            for name, act in trouble:
                at = time.monotonic()
                await act()
                await together.all_live(connections)
                print(f"{name}: all are live {time.monotonic() - at:.1f} s later", file=sys.stderr)
                await asyncio.sleep(STEADY_SECONDS)
        verdict = await together.settled()
        told = await together.ask("since", began=began)
        states = await together.ask("state")
    resumes = [1000 * seconds for one in told for seconds in one["resume_seconds"]]
    return {
        "connections": connections,
        "committed": together.committed,
        **verdict,
        "resumes": len(resumes),
        "resume_p50_ms": round(percentile(resumes, 0.5)),
        "resume_p99_ms": round(percentile(resumes, 0.99)),
        "cut": added([state["cut"] for state in states]),
        "heard_bytes": added([state["heard_bytes"] for state in states]),
    }


def _inbox(number: int) -> InboxView:
    return InboxView(
        id=InboxId(new_id()),
        name=f"Web {number}",
        channel="web_widget",
        public_key="",
        greeting="Hi",
        is_assistant_enabled=True,
        created_at=datetime.now(UTC),
    )


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=15_000)
    parser.add_argument("--rate", type=float, default=100.0)
    wanted = parser.parse_args()
    print(json.dumps(uvloop.run(measure(wanted.connections, wanted.rate))))


if __name__ == "__main__":
    main()
