"""Does a restart of all real-time nodes cost anybody an event, and how fast does everybody come back?

    python -m benchmarks.rolling_restart [--clients 5000]

Starts Dana with each service in a process of its own and two real-time nodes, brings the clients in through
the gateway (a token by POST, then the socket), lets messages flow, and runs `dana restart realtime`.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop

from benchmarks.children import Child, ending, python, start
from benchmarks.client import Client
from benchmarks.dana import running
from benchmarks.message_path import percentile
from dana.platform.identity import Keys
from dana.platform.secrets import Secrets

ORGANIZATIONS = 10
CLIENT_PROCESSES = 2
MESSAGES_PER_SECOND = 10.0
COMING_PER_SECOND = 200  # to each client process at the beginning: it isn't that which is measured
ATTEMPTS = 3
STEADY_SECONDS = 2.0
PATIENCE_SECONDS = 240.0
POLL_SECONDS = 0.2
OPTIONS = ("--split", "--replicas", "realtime=2")

Restart = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Office:
    """One organization and the conversation in which its people write."""

    id: str
    token: str
    conversation_id: str
    cursor: int = 0


@dataclass(slots=True)
class Town:
    """Everybody who is there, all of them through the gateway."""

    client: Client
    offices: list[Office] = field(default_factory=list)
    crowds: list[Child] = field(default_factory=list)
    messages: int = 0

    async def found(self, keys: Keys) -> None:
        """Sign an organization up, with a conversation."""
        who = {"email": f"{uuid4().hex}@bench.example", "password": "correct horse battery", "name": "Ana"}
        session = await self.client.call("POST", "/api/v1/auth/signup", who | {"organization": "Bench"})
        token = session["access_token"]
        inbox = {"name": "Web", "channel": "web_widget", "is_assistant_enabled": False}
        inbox = await self.client.call("POST", "/api/v1/inboxes", inbox, token)
        begun = await self.client.call(
            "POST", f"/api/v1/widget/{inbox['public_key']}/conversations", {"name": "Bo"}
        )
        org_id = keys.verify_member(token).org_id.hex
        self.offices.append(Office(org_id, token, begun["conversation_id"]))

    async def ask(self, name: str, **arguments: Any) -> list[Any]:
        """Ask all client processes."""
        return await asyncio.gather(*(crowd.ask(name, **arguments) for crowd in self.crowds))

    async def all_live(self, clients: int) -> None:
        """Return when each client has been sent everything that it had missed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(state["live"] for state in await self.ask("state")) < clients:
                await asyncio.sleep(POLL_SECONDS)

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Let agents write, for the length of the block."""
        leave = asyncio.Event()
        writing = asyncio.create_task(self._write(leave))
        try:
            yield
        finally:
            leave.set()
            await writing

    async def settled(self) -> dict[str, int]:
        """Return the verdict, once everybody has everything or no more comes."""
        newest = {}
        for office in self.offices:
            page = await self.client.call("GET", "/api/v1/conversations", token=office.token)
            newest[office.id] = page["org_cursor"]
        ends_at = time.monotonic() + PATIENCE_SECONDS / 8
        while any(await self.ask("behind", newest=newest)) and time.monotonic() < ends_at:
            await asyncio.sleep(POLL_SECONDS)
        verdicts = await self.ask("judge", newest=newest)
        return {name: sum(verdict[name] for verdict in verdicts) for name in verdicts[0]}

    async def _write(self, leave: asyncio.Event) -> None:
        for office in itertools.cycle(self.offices):
            if leave.is_set():
                return
            due = time.monotonic() + 1 / MESSAGES_PER_SECOND
            path = f"/api/v1/conversations/{office.conversation_id}/messages"
            await self._post(path, office.token)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _post(self, path: str, token: str) -> None:
        """Send one message; again if nobody knows whether it has arrived: its key makes it count once."""
        message, key = {"text": uuid4().hex}, uuid4().hex
        for attempt in range(ATTEMPTS):
            try:
                await self.client.call("POST", path, message, token, key=key)
            except OSError:  # an idle connection was closed just as it was taken
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                self.messages += 1
                return


async def roll(url: str, data_dir: Path, clients: int, restart: Restart) -> dict[str, Any]:
    """Restart all real-time nodes of a running Dana under so many clients, and tell what they have seen."""
    town = Town(Client(url))
    keys = Keys(Secrets.load(data_dir / "secrets"))
    for _ in range(ORGANIZATIONS):
        await town.found(keys)
    async with ending(town.crowds):
        await _come(town, url, data_dir, clients)
        async with town.busy():
            await asyncio.sleep(STEADY_SECONDS)
            began = time.monotonic()
            await restart()
            took = time.monotonic() - began
            await town.all_live(clients)
            await asyncio.sleep(STEADY_SECONDS)
        verdict = await town.settled()
        told = await town.ask("since", began=began)
        states = await town.ask("state")
    resumes = [1000 * seconds for one in told for seconds in one["resume_seconds"]]
    return {
        "clients": clients,
        "messages": town.messages,
        **verdict,
        "restart_seconds": round(took, 1),
        "peak_connects_per_second": most_within_a_second([at for one in told for at in one["hellos"]]),
        "peak_goodbyes_per_second": most_within_a_second([at for one in told for at in one["byes"]]),
        "goodbye_seconds": round(_without_the_longest_pause([at for one in told for at in one["byes"]]), 2),
        "resumes": len(resumes),
        "resume_p50_ms": round(percentile(resumes, 0.5)),
        "resume_p99_ms": round(percentile(resumes, 0.99)),
        "cut": added([state["cut"] for state in states]),
        "heard_bytes": added([state["heard_bytes"] for state in states]),
    }


def most_within_a_second(moments: Sequence[float]) -> int:
    """Return how many moments fall within one second, at most."""
    inside, most, first = sorted(moments), 0, 0
    for last, moment in enumerate(inside):
        while inside[first] < moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _without_the_longest_pause(moments: Sequence[float]) -> float:
    """Return how long the goodbyes of two nodes took, without the time between one node's and the other's."""
    if not moments:
        return 0.0
    inside = sorted(moments)
    return inside[-1] - inside[0] - max((after - before for before, after in pairwise(inside)), default=0.0)


def added(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    """Add up what was counted by names."""
    names = {name for one in counts for name in one}
    return {name: sum(one.get(name, 0) for one in counts) for name in sorted(names)}


async def _come(town: Town, url: str, data_dir: Path, clients: int) -> None:
    environment = {"DANA_SECRETS": str(data_dir / "secrets")}
    orgs = [office.id for office in town.offices]
    each, rest = divmod(clients // len(orgs), CLIENT_PROCESSES)
    for number in range(CLIENT_PROCESSES):
        crowd = await start(python("benchmarks.returning"), environment)
        town.crowds.append(crowd)
        await crowd.ask(
            "open",
            urls=[url],
            organizations=orgs,
            each=each + (rest if number == 0 else 0),
            per_second=COMING_PER_SECOND,
            is_by_gateway=True,
        )
    began = time.monotonic()
    await town.all_live(clients)
    print(f"{clients} have come in {time.monotonic() - began:.1f} s", file=sys.stderr)


async def _restart(data_dir: Path) -> None:
    command = [sys.executable, "-m", "dana", "restart", "realtime", "--data", str(data_dir)]
    restarting = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    if await restarting.wait():
        raise SystemExit("The restart failed.")


async def measure(clients: int) -> dict[str, Any]:
    """Start Dana, and restart its nodes."""
    async with running(None, *OPTIONS) as (url, data_dir):
        return await roll(url, data_dir, clients, lambda: _restart(data_dir))


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=5_000)
    print(json.dumps(uvloop.run(measure(parser.parse_args().clients))))


if __name__ == "__main__":
    main()
