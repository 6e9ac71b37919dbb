"""How long does a message take from its POST to the other side's socket, and how many a second can be held?

    python -m benchmarks.message_path           100 a second, through the gateway
    python -m benchmarks.message_path --split   the same, each service in its own process, over RabbitMQ
    python -m benchmarks.message_path --max     the highest rate of agents' messages without a growing backlog

Ten organizations on two shards, each with an agent and five customers, all with open sockets. Beside it, in
the same run, the bare transaction: the same statements on the same server, without HTTP, gateway or sockets.
"""

import argparse
import asyncio
import itertools
import json
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks import raw_insert
from benchmarks.client import Client
from benchmarks.dana import running, running_split

ORGANIZATIONS = 10
CUSTOMERS = 5
SETTLE_SECONDS = 3.0
HELD_SHARE = 0.97  # of the asked rate, so much must have arrived within the measured seconds


@dataclass(slots=True)
class Chat:
    """One conversation with its two sides."""

    id: str
    agent_token: str
    customer_token: str


@dataclass(slots=True)
class Tally:
    """When each message was posted, and when and how often it came out at the other side."""

    posted: dict[str, float] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    arrived: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def latencies_ms(self) -> list[float]:
        """From the start of the POST to the first arrival."""
        return [
            (self.arrived[mark][0] - posted) * 1000
            for mark, posted in self.posted.items()
            if mark in self.arrived
        ]

    def lost(self) -> int:
        """Acknowledged, and never arrived. What was refused (503) is an error, told to its sender."""
        return sum(mark not in self.arrived for mark in self.acknowledged)

    def duplicated(self) -> int:
        """Arrived more than once."""
        return sum(len(times) - 1 for times in self.arrived.values())


class Ear(WSListener):
    """One side's socket; counts only what the other side wrote."""

    def __init__(self, tally: Tally, hears: str) -> None:
        super().__init__()
        self._tally = tally
        self._hears = hears
        self.ready = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        now = time.perf_counter()
        received = msgspec.json.decode(frame.get_payload_as_bytes())
        if received["type"] == "hello":
            self.ready.set()
        elif received["type"] == "event" and received["event"]["type"] == "message_appended":
            message = received["event"]["message"]
            if message["author"] == self._hears:
                self._tally.arrived.setdefault(message["text"], []).append(now)


class Load:
    """Everybody who takes part."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Client(url)
        self.tally = Tally()
        self.chats: list[Chat] = []
        self._sockets: list[Ear] = []

    async def prepare(self) -> None:
        """Sign up, begin the conversations, and open all sockets."""
        for n in range(ORGANIZATIONS):
            who = {"email": f"{uuid4().hex}@bench.example", "password": f"correct horse {n} battery"}
            who |= {"name": "Ana", "organization": f"Bench {n}"}
            session = await self.client.call("POST", "/api/v1/auth/signup", who)
            token = session["access_token"]
            inbox = {"name": "Web", "channel": "web_widget", "is_assistant_enabled": False}
            inbox = await self.client.call("POST", "/api/v1/inboxes", inbox, token)
            for _ in range(CUSTOMERS):
                started = await self.client.call(
                    "POST", f"/api/v1/widget/{inbox['public_key']}/conversations", {"name": "Bo"}
                )
                self.chats.append(Chat(started["conversation_id"], token, started["token"]))
                await self._listen(started["token"], "agent")
            await self._listen(token, "customer")

    async def post(self, chat: Chat, author: str) -> None:
        """Send one message from one side."""
        mark = uuid4().hex
        path, token = (
            (f"/api/v1/conversations/{chat.id}/messages", chat.agent_token)
            if author == "agent"
            else (f"/api/v1/widget/conversations/{chat.id}/messages", chat.customer_token)
        )
        tally = self.tally
        tally.posted[mark] = time.perf_counter()
        try:
            await self.client.call("POST", path, {"text": mark}, token, key=mark)
            tally.acknowledged.add(mark)
        except Exception as error:  # noqa: BLE001 - counted and shown
            tally.errors.append(repr(error)[:200])

    async def steady(self, rate: float, seconds: float, authors: tuple[str, ...]) -> float:
        """Post at a fixed rate whatever the answers do; returns the share that arrived in time."""
        self.tally = tally = Tally()
        for ear in self._sockets:
            ear._tally = tally
        sides = itertools.cycle(authors)
        tasks: set[asyncio.Task[None]] = set()
        started = time.perf_counter()
        for n in range(int(rate * seconds)):
            pause = started + n / rate - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            task = asyncio.create_task(self.post(random.choice(self.chats), next(sides)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        in_time = len(tally.arrived) / max(1, len(tally.posted))
        if tasks:
            await asyncio.wait(tasks, timeout=60)
        await self._settled()
        return in_time

    async def _settled(self) -> None:
        for _ in range(int(SETTLE_SECONDS * 10)):
            if self.tally.lost() == 0:
                await asyncio.sleep(0.3)  # a duplicate would come now
                return
            await asyncio.sleep(0.1)

    async def _listen(self, token: str, hears: str) -> None:
        opening = await self.client.call("POST", "/api/v1/realtime/token", None, token)
        address = self.url.replace("http", "ws", 1) + f"/api/v1/realtime?token={opening['token']}"
        ear = Ear(self.tally, hears)
        await ws_connect(lambda: ear, address)
        await asyncio.wait_for(ear.ready.wait(), 10)
        self._sockets.append(ear)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


async def at_rate(load: Load, data_dir: Path, rate: float, seconds: float) -> dict[str, Any]:
    """Measure latency at a steady rate, both directions."""
    await load.steady(rate, 3, ("agent", "customer"))
    await load.steady(rate, seconds, ("agent", "customer"))
    latencies = load.tally.latencies_ms()
    raw = await raw_insert.measure(data_dir, at_once=1)
    return {
        "rate": rate,
        "p50_ms": round(statistics.median(latencies), 2),
        "p99_ms": round(percentile(latencies, 0.99), 2),
        "lost": load.tally.lost(),
        "duplicated": load.tally.duplicated(),
        "errors": len(load.tally.errors),
        "messages": len(load.tally.posted),
        "raw_insert_p50_ms": round(raw.p50_ms, 2),
    }


async def highest(load: Load, data_dir: Path, seconds: float) -> dict[str, Any]:
    """Find the highest rate of agents' messages that is held: doubling, then halving the gap."""
    held, failed = 0.0, 0.0
    rate = 200.0
    lost = duplicated = 0
    while failed == 0 or failed - held > max(25, 0.05 * held):
        share = await load.steady(rate, seconds, ("agent",))
        lost += load.tally.lost()
        duplicated += load.tally.duplicated()
        is_held = share >= HELD_SHARE and not load.tally.errors
        verdict = "held" if is_held else f"not held {load.tally.errors[:1]}"
        print(f"{rate:7.0f}/s: {share:6.1%} in time, {verdict}")
        held, failed = (rate, failed) if is_held else (held, rate)
        rate = rate * 2 if failed == 0 else (held + failed) / 2
        await asyncio.sleep(1)
    raw = await raw_insert.measure(data_dir, at_once=16)
    return {
        "max_per_second": round(held),
        "raw_insert_per_second": round(raw.per_second),
        "share_of_raw": round(held / raw.per_second, 3),
        "lost": lost,
        "duplicated": duplicated,
    }


async def main() -> None:
    """Run one of the two questions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--max", action="store_true", help="find the highest rate that is held")
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--split", action="store_true", help="each service in its own process, over RabbitMQ")
    arguments = parser.parse_args()
    async with running_split() if arguments.split else running() as (url, data_dir):
        load = Load(url)
        await load.prepare()
        result = (
            await highest(load, data_dir, min(arguments.seconds, 5))
            if arguments.max
            else await at_rate(load, data_dir, arguments.rate, arguments.seconds)
        )
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main())
