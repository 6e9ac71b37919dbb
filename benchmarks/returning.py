"""Sockets that come back as clients should, and check every event: none missed, none twice, all in order.

cut ─► wait (jitter, or what the server said) ─► a new token ─► connect with the cursor ─► replay ─► live
As a process of its own (`python -m benchmarks.returning`) it is told what to do by lines of JSON.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import msgspec
import uvloop
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.children import answer
from benchmarks.client import Client, RequestFailedError
from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import Role
from dana.platform.identity import Keys, Member
from dana.platform.secrets import Secrets

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 30.0  # as docs/reference/realtime.md asks of clients: with full jitter
STABLE_SECONDS = 5.0
HANDSHAKE_SECONDS = 10.0
SILENCE_SECONDS = 25.0  # two and a half heartbeats
TOKEN_SECONDS = 3600.0
LOOKS_PER_SECOND = 10  # each time at a tenth of the sockets: acknowledge, and look for silence
COMING_PER_SECOND = 1_000  # at the beginning, where nothing is measured

_TEXT = WSMsgType.TEXT


class _Said(msgspec.Struct):
    type: str
    cursor: int | None = None
    retry_ms: int | None = None


_said = msgspec.json.Decoder(_Said)


@dataclass(slots=True)
class Ledger:
    """What one socket has been sent, by cursors, which an organization counts without a gap."""

    start: int | None = None
    cursor: int = -1
    events: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    missing: set[int] = field(default_factory=set)

    def begin(self, cursor: int) -> None:
        """Note from where events follow."""
        if self.start is None:
            self.start = self.cursor = cursor
        self.reach(cursor)

    def event(self, cursor: int) -> None:
        """Note one event."""
        self.events += 1
        if cursor > self.cursor:
            self.reach(cursor - 1)
            self.cursor = cursor
        elif cursor in self.missing:
            self.missing.remove(cursor)
            self.out_of_order += 1
        else:
            self.duplicated += 1

    def reach(self, cursor: int) -> None:
        """Note that the server says that everything up to here has been sent."""
        if cursor > self.cursor:
            self.missing.update(range(self.cursor + 1, cursor + 1))
            self.cursor = cursor


@dataclass(slots=True)
class Diary:
    """When what happened to all sockets of a process, on the clock that all processes share."""

    attempts: list[float] = field(default_factory=list)
    hellos: list[float] = field(default_factory=list)
    byes: list[float] = field(default_factory=list)
    resumed: list[tuple[float, float]] = field(default_factory=list)
    """When a socket was live again, and how many seconds after it was cut."""
    cut: Counter[str] = field(default_factory=Counter)
    """By the close code, or why an attempt failed."""
    resyncs: int = 0
    heard_bytes: Counter[str] = field(default_factory=Counter)
    """By the type of frame."""


class Returning(WSListener):
    """One client, which stays as long as it is not stopped."""

    def __init__(
        self, url: Callable[[], str], token: Callable[[], Awaitable[str]], org_id: OrgId, diary: Diary
    ) -> None:
        super().__init__()
        self.org_id = org_id
        self.ledger = Ledger()
        self.is_live = False
        self._url = url
        self._token = token
        self._diary = diary
        self._transport: WSTransport | None = None
        self._ended = asyncio.Event()
        self._attempt = 0
        self._hello_at = 0.0
        self._cut_at: float | None = None
        self._heard_at = 0.0
        self._acked = -1
        self._bye: _Said | None = None
        self._code = "cut"

    async def stay(self, after_seconds: float) -> None:
        """Connect, and come back for ever."""
        await asyncio.sleep(after_seconds)
        while True:
            self._ended.clear()
            self._code, self._hello_at, self._bye = "cut", 0.0, None
            try:
                await self._connect()
            except (OSError, TimeoutError, WSError, RequestFailedError) as error:
                self._code = _why(error)
            else:
                await self._ended.wait()
            self._diary.cut[self._code] += 1
            await asyncio.sleep(self._pause_seconds())

    def look(self, now: float) -> None:
        """Acknowledge what has come, and give up a connection that says nothing."""
        if self._transport is None or not self._hello_at:
            return
        if now - self._heard_at > SILENCE_SECONDS:
            self._code = "silence"
            self._transport.disconnect(graceful=False)
        elif self.ledger.cursor > self._acked:
            self._acked = self.ledger.cursor
            self._transport.send(_TEXT, b'{"type":"ack","cursor":%d}' % self._acked)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take in what the server says."""
        self._heard_at = time.monotonic()
        if frame.msg_type == _TEXT:
            said = _said.decode(frame.get_payload_as_memoryview())
            self._diary.heard_bytes[said.type] += frame.payload_size
            self._hear(said)
        elif frame.msg_type == WSMsgType.CLOSE:
            self._code = str(int(cast("int", frame.get_close_code())))
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Note when it was cut, if it was live."""
        if self.is_live:
            self._cut_at = time.monotonic()
        self.is_live = False
        self._transport = None
        self._ended.set()

    def _hear(self, said: _Said) -> None:
        if said.type == "event" and said.cursor is not None:
            self.ledger.event(said.cursor)
        elif said.type == "hello" and said.cursor is not None:
            self._hello_at = self._heard_at
            self._acked = said.cursor
            self._diary.hellos.append(self._hello_at)
            self.ledger.begin(said.cursor)
        elif said.type in ("heartbeat", "resync") and said.cursor is not None:
            self._diary.resyncs += said.type == "resync"
            self.ledger.reach(said.cursor)
            self._now_live()
        elif said.type == "bye":
            self._bye = said
            self._diary.byes.append(self._heard_at)

    def _now_live(self) -> None:
        if not self.is_live:
            self.is_live = True
            if self._cut_at is not None:
                self._diary.resumed.append((self._heard_at, self._heard_at - self._cut_at))

    async def _connect(self) -> None:
        cursor = "" if self.ledger.start is None else f"&cursor={self.ledger.cursor}"
        token = await self._token()
        self._diary.attempts.append(time.monotonic())
        self._heard_at = time.monotonic()
        # A connection that ends before the handshake does is returned as if nothing had happened.
        self._transport, _ = await ws_connect(
            lambda: self,
            f"{self._url()}/api/v1/realtime?token={token}{cursor}",
            use_aiofastnet=False,
            websocket_handshake_timeout=HANDSHAKE_SECONDS,
        )
        if self._transport.is_disconnected:
            self._ended.set()

    def _pause_seconds(self) -> float:
        if self._hello_at and time.monotonic() - self._hello_at > STABLE_SECONDS:
            self._attempt = 0
        self._attempt += 1
        ceiling: float = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(self._attempt - 1, 10))
        usual = random.uniform(0, ceiling)
        if self._bye is not None and self._bye.retry_ms is not None:
            told = self._bye.retry_ms / 1000
            return told if self._attempt == 1 else max(told, usual)
        return usual


class Flock:
    """All clients of one process."""

    def __init__(self) -> None:
        self.diary = Diary()
        self.clients: list[Returning] = []
        self.pause_seconds = 0.0
        """Between one that comes and the next, at the beginning."""
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, client: Returning) -> None:
        """Let a client come, a moment after those before."""
        self.clients.append(client)
        self._tasks.append(asyncio.create_task(client.stay(len(self.clients) * self.pause_seconds)))
        if len(self._tasks) == 1:
            self._tasks.append(asyncio.create_task(self._look()))

    async def stop(self) -> None:
        """Let them go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self) -> None:
        for turn in range(1 << 40):
            await asyncio.sleep(1 / LOOKS_PER_SECOND)
            now = time.monotonic()
            for client in self.clients[turn % LOOKS_PER_SECOND :: LOOKS_PER_SECOND]:
                client.look(now)


class Commands:
    """What a process full of clients can be asked."""

    def __init__(self) -> None:
        self._keys = Keys(Secrets.load(Path(os.environ["DANA_SECRETS"])))
        self._flock = Flock()
        self._gateway: Client | None = None
        self._urls: list[str] = []

    async def open(
        self,
        urls: Sequence[str],
        organizations: Sequence[str],
        each: int,
        *,
        per_second: float = COMING_PER_SECOND,
        is_by_gateway: bool = False,
    ) -> int:
        """Let so many clients of each organization come; tokens are asked for at a gateway, or made here."""
        self._flock.pause_seconds = 1 / per_second
        if is_by_gateway:
            self._gateway = Client(urls[0])
        await self.lead(urls)
        for org_id in [OrgId(UUID(hex=text)) for text in organizations for _ in range(each)]:
            token = self._token_of(org_id)
            self._flock.add(Returning(self._url, token, org_id, self._flock.diary))
        return len(self._flock.clients)

    async def lead(self, urls: Sequence[str]) -> None:
        """Let clients come here, from their next attempt on."""
        self._urls = [url.replace("http", "ws", 1) for url in urls]

    async def state(self) -> dict[str, Any]:
        """Tell how many are live, and whether any has ever failed."""
        return {
            "live": sum(client.is_live for client in self._flock.clients),
            "cut": dict(self._flock.diary.cut),
            "heard_bytes": dict(self._flock.diary.heard_bytes),
        }

    async def since(self, began: float) -> dict[str, list[float]]:
        """Tell what has happened since a moment."""
        diary = self._flock.diary
        return {
            "attempts": [at for at in diary.attempts if at >= began],
            "hellos": [at for at in diary.hellos if at >= began],
            "byes": [at for at in diary.byes if at >= began],
            "resumed_at": [at for at, _ in diary.resumed if at >= began],
            "resume_seconds": [took for at, took in diary.resumed if at >= began],
        }

    async def behind(self, newest: dict[str, int]) -> int:
        """Count who has not yet been sent the newest event of their organization."""
        return sum(client.ledger.cursor < newest[client.org_id.hex] for client in self._flock.clients)

    async def judge(self, newest: dict[str, int]) -> dict[str, int]:
        """Check what everybody has been sent, when no more comes."""
        ledgers = [(client.ledger, newest[client.org_id.hex]) for client in self._flock.clients]
        return {
            "events": sum(ledger.events for ledger, _ in ledgers),
            "missed": sum(len(ledger.missing) + max(0, last - ledger.cursor) for ledger, last in ledgers),
            "duplicated": sum(ledger.duplicated for ledger, _ in ledgers),
            "out_of_order": sum(ledger.out_of_order for ledger, _ in ledgers),
            "resyncs": self._flock.diary.resyncs,
        }

    async def stop(self) -> None:
        """Let all go."""
        await self._flock.stop()

    def _url(self) -> str:
        return random.choice(self._urls)

    def _token_of(self, org_id: OrgId) -> Callable[[], Awaitable[str]]:
        expires_at = time.time() + TOKEN_SECONDS
        who = Member(org_id, UserId(new_id()), Role.AGENT, "Ana", new_id(), expires_at=expires_at)

        async def sign() -> str:
            return self._keys.sign_realtime(who)

        async def fetch() -> str:
            assert self._gateway is not None  # noqa: S101 - told at the beginning
            answer = await self._gateway.call("POST", "/api/v1/realtime/token", token=access)
            return str(answer["token"])

        access = self._keys.sign_member(who, TOKEN_SECONDS) if self._gateway else ""
        return fetch if self._gateway else sign


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody there"
    return "refused" if isinstance(error, (WSError, RequestFailedError)) else type(error).__name__


if __name__ == "__main__":
    told = Commands()
    names = ("open", "lead", "state", "since", "behind", "judge", "stop")
    with suppress(KeyboardInterrupt):
        uvloop.run(answer({name: getattr(told, name) for name in names}))
