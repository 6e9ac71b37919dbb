"""One real-time process with its HTTP, and a client that reads a stream of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import msgspec

from dana.app import Dana, compose, started
from dana.contracts.ids import ContactId, ConversationId, InboxId, OrgId, UserId, new_id
from dana.contracts.views import Role
from dana.platform.fanout import Fanout
from dana.platform.http.serving import serve_http
from dana.platform.identity import Keys, Member, Visitor
from dana.platform.local.programs import free_port
from dana.platform.settings import Settings

PATH = "/api/v1/realtime"
PATIENCE_SECONDS = 15.0


@dataclass
class Process:
    """What `dana run realtime` is, in this process."""

    dana: Dana
    http: httpx.AsyncClient
    keys: Keys
    fanout: Fanout
    socket_port: int
    stopping: asyncio.Event
    serving: "asyncio.Task[None]"

    def bearer(self, who: Member | Visitor) -> dict[str, str]:
        """Make the header of a normal token."""
        if isinstance(who, Member):
            return {"authorization": f"Bearer {self.keys.sign_member(who, 600)}"}
        return {"authorization": f"Bearer {self.keys.sign_visitor(who, 600)}"}

    async def token(self, who: Member | Visitor) -> str:
        """Ask for a real-time token."""
        answer = await self.http.post(f"{PATH}/token", headers=self.bearer(who))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    @asynccontextmanager
    async def stream(
        self, token: str, headers: dict[str, str] | None = None, **query: Any
    ) -> AsyncIterator["Stream"]:
        """Open a stream, and read it for the length of the block."""
        asked = {"token": token} | query
        async with self.http.stream("GET", f"{PATH}/stream", params=asked, headers=headers) as answer:
            stream = Stream(answer)
            reading = asyncio.create_task(stream.read())
            try:
                yield stream
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    @asynccontextmanager
    async def live(self, who: Member | Visitor, **query: Any) -> AsyncIterator["Stream"]:
        """Open one, and wait until it is live."""
        async with self.stream(await self.token(who), **query) as stream:
            assert (await stream.next())["type"] == "hello"
            yield stream

    async def open_streams(self) -> int:
        """Count sockets and streams, as the metrics tell."""
        told = (await self.http.get("/metrics")).text
        counts = [line.split()[1] for line in told.splitlines() if line.startswith("dana_realtime_sockets{")]
        return int(sum(float(count) for count in counts))


@dataclass
class Stream:
    """A browser's EventSource."""

    answer: httpx.Response
    frames: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    lists: list[dict[str, Any]] = field(default_factory=list)
    """Who was there; apart from all else, as it comes when it comes."""
    ids: list[str] = field(default_factory=list)
    retry_ms: int | None = None
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Take events apart, as the standard says it."""
        rest = b""
        try:
            async for part in self.answer.aiter_bytes():
                *events, rest = (rest + part).split(b"\n\n")
                for event in events:
                    self._take(event.split(b"\n"))
        finally:
            self.has_ended.set()

    def _take(self, lines: list[bytes]) -> None:
        fields = [line.split(b": ", 1) for line in lines]
        self.ids += [said.decode() for name, said in fields if name == b"id"]
        self.retry_ms = next((int(said) for name, said in fields if name == b"retry"), self.retry_ms)
        if data := b"\n".join(said for name, said in fields if name == b"data"):
            frame = msgspec.json.decode(data)
            self.lists.append(frame) if frame["type"] == "presence" else self.frames.put_nowait(frame)

    async def next(self) -> dict[str, Any]:
        """Return the next frame that is not a heartbeat."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (frame := await self.frames.get())["type"] == "heartbeat":
                pass
        return frame

    async def events(self, many: int) -> list[dict[str, Any]]:
        """Return the next so many events; any other frame between them fails."""
        frames = [await self.next() for _ in range(many)]
        assert {frame["type"] for frame in frames} <= {"event"}
        return frames

    async def goodbye(self) -> dict[str, Any]:
        """Return the last frame; anything but a goodbye fails."""
        bye = await self.next()
        assert bye["type"] == "bye", bye
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.has_ended.wait()
        assert self.frames.empty()
        return bye


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Process]:
    """Run realtime alone."""
    ports = free_port(), free_port()
    dana = compose(replace(settings, realtime_port=ports[1]), {"realtime"})
    ((_, platform),) = dana.services
    async with started(dana) as services:

        async def drain() -> None:
            await asyncio.gather(*(service.drain() for service in services))

        stopping, listening = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(
            serve_http(dana.http, "127.0.0.1", ports[0], listening.set, stopping, drain=drain)
        )
        await listening.wait()
        limits = httpx.Limits(max_connections=None)
        url = f"http://127.0.0.1:{ports[0]}"
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, limits=limits) as http:
            yield Process(dana, http, platform.keys, platform.fanout, ports[1], stopping, serving)
            stopping.set()
            await serving


def member(org_id: OrgId, name: str = "Ana", role: Role = Role.AGENT) -> Member:
    """Make a member who is signed in for a while."""
    return Member(org_id, UserId(new_id()), role, name, new_id(), time.time() + 600)


def visitor(org_id: OrgId, conversation_id: ConversationId) -> Visitor:
    """Make the customer of a conversation."""
    return Visitor(
        org_id, conversation_id, ContactId(new_id()), InboxId(new_id()), "Eve", time.time() + 86_400
    )
