"""What does one real-time node deliver, what does that cost, and how far is it from the peers and the limit?

    python -m benchmarks.realtime [--connections 10000] [--rounds 3] [--seconds 3] [--under-way 3]

Ours with the whole protocol (tokens, cursors, order, rights) against Node `ws` and Node Socket.IO doing the
same fan-out, and raw picows as the limit. Rooms of ten; the token is verified at the handshake; one publisher
brings events through the same Valkey, ours as a transaction publishes them, the others as the finished frame.
All servers stand at once and are measured by turns, each on the first core, clients and Valkey on the other.
What is sent is a real event, `inbox_changed`, of about 300 bytes. The echo is what each answers at once: ours
a frame `unsubscribe`, the others what was said.

`--under-way` says how many events of each room are published and not yet delivered. With 3, every server has
always more to do than it can; ours then lets events that wait for the same sockets leave together, the others
don't. With 0.3 hardly any event finds another one waiting, and each costs what it costs by itself.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.children import Child, ending, python, start
from benchmarks.node import Ground, ground
from benchmarks.realtime_crowd import ROOM
from dana.contracts.ids import new_id
from dana.platform.identity import Keys

PEERS = Path(__file__).parent / "peers"
CACHE = Path(sys.prefix) / "benchmark-peers"
"""Where the peers' packages are: outside of git, kept from run to run."""
SERVER_CORE, CLIENT_CORE = 0, 1
ECHOES_PER_SECOND = 2_000
ECHO_SHARE = 0.5  # of the seconds of a round
SETTLE_SECONDS = 1.0

DIALECTS = {"dana": "dana", "ws": "plain", "socket.io": "socketio", "picows": "plain"}


@dataclass(slots=True)
class Contender:
    """One server with its clients, and what was measured of it."""

    name: str
    server: Child
    crowd: Child
    connections: int = 0
    kib_before: int = 0
    kib_per_connection: float = 0.0
    frame_bytes: int = 0
    lost: int = 0
    per_second: list[float] = field(default_factory=list)
    per_cpu_second: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    latencies_us: list[float] = field(default_factory=list)

    async def fill(self, organizations: list[str]) -> None:
        """Open all connections."""
        self.kib_before = self.server.resident_kib
        opened = await self.crowd.ask(
            "connect", port=self.server.port, dialect=DIALECTS[self.name], organizations=organizations
        )
        await asyncio.sleep(SETTLE_SECONDS)
        self.connections = opened["connections"]
        self.kib_per_connection = (self.server.resident_kib - self.kib_before) / self.connections
        _say(f"{self.name:10} {self.connections} connections in {opened['seconds']} s")

    async def round(self, seconds: float, under_way: float, *, is_measured: bool = True) -> None:
        """Measure once."""
        cpu, began = self.server.cpu_seconds, asyncio.get_running_loop().time()
        fan = await self.crowd.ask("fan", seconds=seconds, under_way=under_way)
        spent = self.server.cpu_seconds - cpu
        elapsed = asyncio.get_running_loop().time() - began
        echo = await self.crowd.ask("echo", per_second=ECHOES_PER_SECOND, seconds=seconds * ECHO_SHARE)
        self.lost += fan["lost"] + echo["unanswered"]
        if is_measured:
            self.frame_bytes = fan["frame_bytes"]
            self.per_second.append(fan["per_second"])
            self.per_cpu_second.append(fan["delivered"] / max(spent, 0.01))
            self.busy.append(spent / elapsed)
            self.latencies_us += echo["latencies_us"]
            _say(
                f"{self.name:10} {fan['per_second']:9,.0f} deliveries/s, its core {spent / elapsed:.0%} busy"
            )

    def line(self) -> dict[str, Any]:
        """Return what came out, the median of all rounds."""
        latencies = sorted(self.latencies_us)
        return {
            "server": self.name,
            "connections": self.connections,
            "kib_per_connection": round(self.kib_per_connection, 1),
            "fanout_per_second": round(statistics.median(self.per_second)),
            "echo_p50_us": round(latencies[len(latencies) // 2]),
            "echo_p99_us": round(latencies[len(latencies) * 99 // 100]),
            "fanout_per_cpu_second": round(statistics.median(self.per_cpu_second)),
            "busy": round(statistics.median(self.busy), 2),
            "frame_bytes": self.frame_bytes,
            "lost": self.lost,
        }


async def measure(connections: int, rounds: int, seconds: float, under_way: float) -> dict[str, Any]:
    """Run it all and return the last line."""
    folder = await install_peers()
    async with AsyncExitStack() as stack:
        earth = await stack.enter_async_context(ground())
        children: list[Child] = []
        await stack.enter_async_context(ending(children))
        os.sched_setaffinity(earth.valkey.process.pid, {CLIENT_CORE})
        placed = [org.hex for org in await earth.place(connections // ROOM)]
        contenders = [await _contender(name, earth, folder, children) for name in DIALECTS]
        for contender in contenders:
            # Each has rooms of its own, because they stand at the same Valkey; only ours looks for them.
            await contender.fill(placed if contender.name == "dana" else [new_id().hex for _ in placed])
        for contender in contenders:
            await contender.round(1.0, under_way, is_measured=False)
        for _ in range(rounds):
            for contender in contenders:
                await contender.round(seconds, under_way)
        lines = [contender.line() for contender in contenders]
    for line in lines:
        print(json.dumps(line), flush=True)
    return {"under_way": under_way, **_verdict(lines)}


def _verdict(lines: list[dict[str, Any]]) -> dict[str, Any]:
    of = {line["server"]: line for line in lines}

    def ratios(what: str) -> dict[str, float]:
        return {name: round(of["dana"][what] / of[name][what], 2) for name in DIALECTS if name != "dana"}

    return {
        "servers": lines,
        "fanout_ratio": ratios("fanout_per_second"),
        "fanout_per_cpu_ratio": ratios("fanout_per_cpu_second"),
        "echo_p99_ratio": ratios("echo_p99_us"),
    }


async def _contender(name: str, earth: Ground, folder: Path, children: list[Child]) -> Contender:
    commands: dict[str, list[str]] = {
        "dana": python("benchmarks.node"),
        "picows": python("benchmarks.realtime_raw"),
        "ws": [str(Path(sys.prefix) / "bin" / "node"), "ws.mjs"],
        "socket.io": [str(Path(sys.prefix) / "bin" / "node"), "socketio.mjs"],
    }
    jwks = earth.home / "jwks.json"
    jwks.write_text(json.dumps(Keys(earth.settings.secrets).jwks()))
    environment = earth.environment | {
        "PEER_JWKS": str(jwks),
        "PEER_VALKEY_URL": earth.valkey.url,
        "NODE_ENV": "production",
    }
    where = folder if name in ("ws", "socket.io") else None
    server = await start(commands[name], environment, core=SERVER_CORE, folder=where)
    children.append(server)
    crowd = await start(python("benchmarks.realtime_crowd"), environment, core=CLIENT_CORE)
    children.append(crowd)
    return Contender(name, server, crowd)


async def install_peers() -> Path:
    """Copy the peers to where their packages are, which are installed when they changed."""
    CACHE.mkdir(exist_ok=True)
    wanted = (PEERS / "package.json").read_text()
    installed = CACHE / "installed.json"
    for file in PEERS.glob("*.*js*"):
        shutil.copy(file, CACHE)
    if not installed.exists() or installed.read_text() != wanted:
        _say("installing the peers' packages")
        npm = str(Path(sys.prefix) / "bin" / "npm")
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        installing = await asyncio.create_subprocess_exec(npm, "install", *options, cwd=CACHE)
        if await installing.wait():
            raise SystemExit(f"The peers' packages can't be installed: npm install in {CACHE} failed.")
        installed.write_text(wanted)
    return CACHE


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print one JSON line for each server and one for all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--under-way", type=float, default=3.0, help="events of each room, 0.3 for few")
    wanted = parser.parse_args()
    measuring = measure(wanted.connections, wanted.rounds, wanted.seconds, wanted.under_way)
    print(json.dumps(uvloop.run(measuring)))


if __name__ == "__main__":
    main()
