"""The other end of `benchmarks.realtime`: ten thousand sockets at one server, and who publishes their events.

It is told what to do by lines of JSON (`benchmarks.children`): connect, fan, echo. Publishing is part of it
because it must never be far ahead of what has arrived.
"""

import asyncio
import itertools
import os
import random
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.children import answer
from dana.contracts.events import InboxChanged
from dana.contracts.ids import InboxId, OrgId, UserId, new_id
from dana.contracts.views import InboxView, Role
from dana.platform.fanout import Events, Fanout, parse
from dana.platform.identity import Keys, Member
from dana.platform.outbox import Outbox
from dana.platform.secrets import Secrets
from dana.platform.valkey import Valkey
from dana.services.realtime.models import LoggedEvent

ROOM = 10
CONNECTING_AT_ONCE = 50
CONNECT_SECONDS = 60.0
QUIET_SECONDS = 10.0  # nothing more arrives: what hasn't come is lost
ECHO_PAUSE_SECONDS = 0.0005
ECHO_REST_SECONDS = 1.0

_TEXT = WSMsgType.TEXT
_cursor = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of server is spoken with."""

    path: str
    first: bytes | None
    """What the client says first."""
    is_in: bytes
    """How the frame begins that says: you are in."""
    event: bytes
    """How the frame of an event begins."""
    question: bytes
    reply: bytes
    ping: bytes = b"-"
    pong: bytes = b""


DIALECTS = {
    "dana": Dialect(
        path="/api/v1/realtime?token=",
        first=None,
        is_in=b'{"type":"heartbeat"',
        event=b'{"type":"event"',
        question=b'{"type":"unsubscribe","channel":"me"}',
        reply=b'{"type":"unsubscribed"',
    ),
    "plain": Dialect(
        path="/?token=",
        first=None,
        is_in=b'{"type":"hello"',
        event=b'{"type":"event"',
        question=b'{"type":"echo","said":"hello there!"}',
        reply=b'{"type":"echo"',
    ),
    "socketio": Dialect(
        path="/socket.io/?EIO=4&transport=websocket&token=",
        first=b"40",
        is_in=b'42["hello"',
        event=b'42["event"',
        question=b'42["echo","hello there, are you?"]',
        reply=b'42["echo"',
        ping=b"2",
        pong=b"3",
    ),
}


class Tally:
    """What has come out at all sockets."""

    def __init__(self) -> None:
        self.frames = 0
        self.frame_bytes = 0
        self.closed = 0
        self.latencies_us: list[float] = []
        self.goal = 1 << 60
        self.is_reached = asyncio.Event()

    async def wait_for(self, frames: int) -> None:
        """Return when so many event frames have come."""
        if self.frames < frames:
            self.goal = frames
            self.is_reached.clear()
            with suppress(TimeoutError):  # then the rest is lost, and counted as such
                await asyncio.wait_for(self.is_reached.wait(), QUIET_SECONDS)
            self.goal = 1 << 60


class Ear(WSListener):
    """One socket."""

    def __init__(self, dialect: Dialect, tally: Tally) -> None:
        super().__init__()
        self._dialect = dialect
        self._tally = tally
        self.is_in = asyncio.Event()
        self.transport: WSTransport | None = None
        self.asked_at = 0.0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say what is to be said first."""
        self.transport = transport
        if self._dialect.first is not None:
            transport.send(_TEXT, self._dialect.first)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count an event, time a reply."""
        said, dialect = frame.get_payload_as_bytes(), self._dialect
        if said.startswith(dialect.event):
            tally = self._tally
            tally.frames += 1
            if tally.frames >= tally.goal:
                tally.frame_bytes = len(said)
                tally.is_reached.set()
        elif said.startswith(dialect.reply):
            self._tally.latencies_us.append((time.perf_counter() - self.asked_at) * 1e6)
            self.asked_at = 0.0
        elif said.startswith(dialect.is_in):
            self.is_in.set()
        elif said == dialect.ping:
            transport.send(_TEXT, dialect.pong)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Note that it was cut."""
        self._tally.closed += 1

    def ask(self) -> None:
        """Say something that is answered at once."""
        if self.transport is not None:
            self.asked_at = time.perf_counter()
            self.transport.send(_TEXT, self._dialect.question)


class Writer:
    """Who publishes one room's events, with a cursor of its own."""

    def __init__(self, org_id: OrgId, valkey: Valkey, template: bytes, *, is_framed: bool) -> None:
        self._channel = f"dana:org:{org_id.hex}"
        self._valkey = valkey
        self._template = template
        self._is_framed = is_framed
        self._cursors = itertools.count(1)

    def publish(self) -> None:
        """Publish the next event: to us as a writer's transaction does, to the others as the frame itself."""
        cursor = next(self._cursors)
        if self._is_framed:
            message = b'{"type":"event","cursor":%d%b' % (cursor, self._template)
        else:
            message = b"E" + _cursor.pack(cursor) + self._template
        if not self._valkey.send("PUBLISH", self._channel, message):
            raise SystemExit("Valkey doesn't take what is published.")


class Crowd:
    """All sockets at one server, in rooms of ten."""

    def __init__(self) -> None:
        self._keys = Keys(Secrets.load(Path(os.environ["DANA_SECRETS"])))
        self._valkey = Valkey(os.environ["DANA_REDIS_URL"])
        self._tally = Tally()
        self._ears: list[Ear] = []
        self._writers: list[Writer] = []

    async def connect(self, port: int, dialect: str, organizations: list[str]) -> dict[str, Any]:
        """Open ten sockets for each organization."""
        await self._valkey.start()
        orgs = [OrgId(UUID(hex=text)) for text in organizations]
        message, frame = await _event(self._valkey)
        is_framed = dialect != "dana"
        template = frame if is_framed else message
        self._writers = [Writer(org, self._valkey, template, is_framed=is_framed) for org in orgs]
        wanted = iter([org for org in orgs for _ in range(ROOM)])
        began = time.monotonic()
        how = DIALECTS[dialect]
        await asyncio.gather(*(self._open(port, how, wanted) for _ in range(CONNECTING_AT_ONCE)))
        return {"connections": len(self._ears), "seconds": round(time.monotonic() - began, 1)}

    async def fan(self, seconds: float, under_way: float) -> dict[str, Any]:
        """Publish as fast as it arrives, for so long; the rate counts until the last has arrived.

        So many events of each room are published and not yet delivered: they wait wherever it is slowest.
        """
        tally = self._tally
        tally.frames = published = 0
        writers = itertools.cycle(random.sample(self._writers, len(self._writers)))
        most = max(2, int(under_way * len(self._writers)))
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            while published - tally.frames / ROOM < most:
                next(writers).publish()
                published += 1
            await tally.wait_for((published - most // 2) * ROOM)
        await tally.wait_for(published * ROOM)
        elapsed = time.monotonic() - began
        return {
            "delivered": tally.frames,
            "per_second": tally.frames / elapsed,
            "lost": published * ROOM - tally.frames + tally.closed,
            "frame_bytes": tally.frame_bytes,
        }

    async def echo(self, per_second: float, seconds: float) -> dict[str, Any]:
        """Ask at a steady rate, each time at another socket, whatever the answers do."""
        tally, asked = self._tally, 0
        tally.latencies_us.clear()
        ears = itertools.cycle(random.sample(self._ears, len(self._ears)))
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            for ear in itertools.islice(ears, max(0, int(elapsed * per_second) - asked)):
                asked += 1
                if not ear.asked_at:
                    ear.ask()
            await asyncio.sleep(ECHO_PAUSE_SECONDS)
        await asyncio.sleep(ECHO_REST_SECONDS)
        latencies = [round(one, 1) for one in tally.latencies_us]
        return {"latencies_us": latencies, "unanswered": sum(bool(ear.asked_at) for ear in self._ears)}

    async def _open(self, port: int, dialect: Dialect, wanted: Iterator[OrgId]) -> None:
        for org_id in wanted:
            expires_at = time.time() + 3600
            who = Member(org_id, UserId(new_id()), Role.AGENT, "Ana", new_id(), expires_at=expires_at)
            url = f"ws://127.0.0.1:{port}{dialect.path}{self._keys.sign_realtime(who)}"
            ear = Ear(dialect, self._tally)
            await ws_connect(lambda ear=ear: ear, url, use_aiofastnet=False)
            await asyncio.wait_for(ear.is_in.wait(), CONNECT_SECONDS)
            self._ears.append(ear)


async def _event(valkey: Valkey) -> tuple[bytes, bytes]:
    """Return an event as a writer's transaction publishes it, and as our node frames it, after the cursor."""
    now = datetime.now(UTC)
    inbox = InboxView(
        id=InboxId(new_id()),
        name="Web",
        channel="web_widget",
        public_key="",
        greeting="Hi",
        is_assistant_enabled=True,
        created_at=now,
    )
    outbox, fanout, org_id = Outbox(now, "shard1"), Fanout(valkey), OrgId(new_id())
    outbox.add(InboxChanged(inbox=inbox))
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    await fanout.subscribe(org_id, arrived.set_result, lambda: None)
    fanout.committed(org_id, 1, outbox)
    message = await asyncio.wait_for(arrived, QUIET_SECONDS)
    fanout.unsubscribe(org_id)
    published = parse(message)
    assert isinstance(published, Events)  # noqa: S101 - it was published as such
    frame = LoggedEvent.published(1, published.events[0]).for_members
    assert frame is not None  # noqa: S101 - members see it
    return message[1 + _cursor.size :], frame.removeprefix(b'{"type":"event","cursor":1')


if __name__ == "__main__":
    crowd = Crowd()
    uvloop.run(answer({"connect": crowd.connect, "fan": crowd.fan, "echo": crowd.echo}))
