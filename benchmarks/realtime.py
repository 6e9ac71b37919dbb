"""What does one real-time node deliver, and what does that cost?

    python -m benchmarks.realtime [--organizations 200] [--seconds 5]

Ten agents of each organization at one node, in a process of its own. Events are published as a writer does
after its commit; what is measured is Valkey, the node and the sockets, without the database's share.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from dana.contracts.events import MessageAppended
from dana.contracts.ids import (
    ContactId,
    ConversationId,
    InboxId,
    MessageId,
    OrgId,
    UserId,
    new_id,
)
from dana.contracts.views import Author, ContactView, ConversationView, MessageView, Role, Status
from dana.platform.ephemera import Ephemera
from dana.platform.fanout import Fanout
from dana.platform.identity import Keys, Member
from dana.platform.local.postgres import start_postgres
from dana.platform.local.programs import free_port
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import migrate
from dana.platform.outbox import Outbox
from dana.platform.service import Platform
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey
from dana.services.realtime.service import build

ROOM = 10
UNDER_WAY = 300  # events published and not yet delivered everywhere, when going at full speed
STEADY_PER_SECOND = 500
MARK = b'"text":"sent at '


@dataclass(slots=True)
class Tally:
    """What came out at the sockets."""

    frames: int = 0
    latencies_ms: list[float] = field(default_factory=list)


class Ear(WSListener):
    """One agent's socket."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally
        self.is_live = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count an event; every tenth is timed."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        payload = frame.get_payload_as_bytes()
        if payload.startswith(b'{"type":"event"'):
            self._tally.frames += 1
            if self._tally.frames % 10 == 0:
                start = payload.index(MARK) + len(MARK)
                sent_ns = int(payload[start : payload.index(b'"', start)])
                self._tally.latencies_ms.append((time.monotonic_ns() - sent_ns) / 1e6)
        elif payload.startswith(b'{"type":"heartbeat"'):
            self.is_live.set()


class Organization:
    """A writer with its own cursor."""

    def __init__(self, org_id: OrgId, fanout: Fanout) -> None:
        self.id = org_id
        self._fanout = fanout
        self._cursors = itertools.count(1)
        self._conversation = _conversation()

    def publish(self) -> None:
        """Publish one message."""
        now = datetime.now(UTC)
        message = MessageView(
            id=MessageId(new_id()),
            conversation_id=self._conversation.id,
            seq=1,
            author=Author.CUSTOMER,
            author_id=None,
            author_name="Eve",
            text=f"sent at {time.monotonic_ns()}",
            is_private=False,
            created_at=now,
        )
        outbox = Outbox(now, "shard1")
        outbox.add(MessageAppended(conversation=self._conversation, message=message))
        self._fanout.committed(self.id, next(self._cursors), outbox)


async def measure(organizations: int, seconds: float) -> dict[str, float]:
    """Run it all and return the figures."""
    with tempfile.TemporaryDirectory(prefix="dana-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        postgres, server = start_postgres(home / "postgres"), start_valkey(home / "valkey")
        os.environ |= {
            "DANA_DATA": folder,
            "DANA_DATABASE_URL": postgres.dsn,
            "DANA_REDIS_URL": server.url,
            "DANA_REALTIME_PORT": str(free_port()),
        }
        settings = Settings.from_environment()
        try:
            await migrate(settings)
            async with _node() as pid:
                return await _against_node(settings, pid, organizations, seconds)
        finally:
            server.stop()
            postgres.stop()


async def _against_node(settings: Settings, pid: int, organizations: int, seconds: float) -> dict[str, float]:
    valkey = Valkey(settings.redis_url)
    await valkey.start()
    fanout, tally = Fanout(valkey), Tally()
    before = _memory_kib(pid)
    rooms = [Organization(org_id, fanout) for org_id in await _place(settings, organizations)]
    sockets = [socket for room in rooms for socket in await _seat(settings, room.id, tally)]
    figures = {
        "sockets": float(len(sockets)),
        "kib_per_socket": round((_memory_kib(pid) - before) / len(sockets), 1),
    }
    figures |= await _full_speed(rooms, tally, pid, seconds)
    figures |= await _steady(rooms, tally, pid, seconds)
    for socket in sockets:
        socket.disconnect()
    await valkey.stop()
    return figures


async def _full_speed(rooms: list[Organization], tally: Tally, pid: int, seconds: float) -> dict[str, float]:
    published, began, cpu = 0, time.monotonic(), _cpu_seconds(pid)
    first = tally.frames
    while time.monotonic() - began < seconds:
        while published - (tally.frames - first) / ROOM < UNDER_WAY:
            random.choice(rooms).publish()
            published += 1
        await asyncio.sleep(0)
    await _drained(tally, first + published * ROOM)
    elapsed, spent = time.monotonic() - began, _cpu_seconds(pid) - cpu
    delivered = tally.frames - first
    return {
        "deliveries_per_second": round(delivered / elapsed),
        "node_cpu_us_per_delivery": round(spent / delivered * 1e6, 2),
        "lost": published * ROOM - delivered,
    }


async def _steady(rooms: list[Organization], tally: Tally, pid: int, seconds: float) -> dict[str, float]:
    tally.latencies_ms.clear()
    first, began, cpu = tally.frames, time.monotonic(), _cpu_seconds(pid)
    total = int(STEADY_PER_SECOND * seconds)
    for number in range(total):
        await asyncio.sleep(max(0.0, began + number / STEADY_PER_SECOND - time.monotonic()))
        random.choice(rooms).publish()
    await _drained(tally, first + total * ROOM)
    latencies = sorted(tally.latencies_ms)
    return {
        "steady_events_per_second": STEADY_PER_SECOND,
        "p50_ms": round(latencies[len(latencies) // 2], 2),
        "p99_ms": round(latencies[len(latencies) * 99 // 100], 2),
        "node_cpu_percent": round(100 * (_cpu_seconds(pid) - cpu) / (time.monotonic() - began), 1),
    }


async def _drained(tally: Tally, frames: int) -> None:
    for _ in range(500):
        if tally.frames >= frames:
            return
        await asyncio.sleep(0.01)


async def _place(settings: Settings, many: int) -> list[OrgId]:
    shards = Shards(settings, "auth")
    organizations = [OrgId(new_id()) for _ in range(many)]
    for org_id in organizations:
        await shards.place(org_id)
    await shards.close()
    return organizations


async def _seat(settings: Settings, org_id: OrgId, tally: Tally) -> list[WSTransport]:
    keys = Keys(settings.secrets)
    sockets: list[WSTransport] = []
    for number in range(ROOM):
        member = Member(org_id, UserId(new_id()), Role.AGENT, f"Agent {number}", new_id())
        token = keys.sign_member(member, 3600)
        url = f"ws://127.0.0.1:{settings.realtime_port}/api/v1/realtime?access_token={token}"
        ear = Ear(tally)
        transport, _ = await ws_connect(lambda ear=ear: ear, url)
        await asyncio.wait_for(ear.is_live.wait(), 10)
        sockets.append(transport)
    return sockets


def _conversation() -> ConversationView:
    now = datetime.now(UTC)
    return ConversationView(
        id=ConversationId(new_id()),
        inbox_id=InboxId(new_id()),
        contact=ContactView(id=ContactId(new_id()), name="Eve", email="eve@example.org", created_at=now),
        status=Status.OPEN,
        assignee_id=UserId(new_id()),
        assignee_name="Ana",
        last_seq=1,
        last_text="Where is my parcel?",
        last_author=Author.CUSTOMER,
        unread_count=1,
        version=1,
        snoozed_until=None,
        last_activity_at=now,
        created_at=now,
    )


@asynccontextmanager
async def _node() -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.realtime", "--node", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        while b"the node is ready" not in (line := await process.stdout.readline()):
            if not line:
                raise SystemExit("The node did not start.")
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _be_a_node() -> None:
    settings = Settings.from_environment()
    valkey = Valkey(settings.redis_url)
    fanout = Fanout(valkey)
    shards, keys = Shards(settings, "realtime"), Keys(settings.secrets)
    service = build(Platform(settings, shards, keys, valkey, fanout, Ephemera(fanout)))
    await valkey.start()
    if service.start is not None:
        await service.start()
    print("the node is ready", flush=True)
    await asyncio.Event().wait()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--organizations", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--node", action="store_true", help="be the node that is measured")
    arguments = parser.parse_args()
    if arguments.node:
        uvloop.run(_be_a_node())
    else:
        print(json.dumps(uvloop.run(measure(arguments.organizations, arguments.seconds))))


if __name__ == "__main__":
    main()
