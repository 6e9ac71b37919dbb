"""Somebody at a socket during the random walk, who is cut, comes back, and applies what he hears.

What one keeps is behind a `Sight`: a member's is the organization, a visitor's his conversation. Each time
somebody comes back he may ask for more than he has missed, so that events are applied again.
"""

import asyncio
import contextlib
import random
import time
from dataclasses import replace
from typing import Protocol

import httpx
from picows import WSError, WSTransport, ws_connect

from dana.platform.identity import Keys, Member, Visitor
from tests.law.reducer import apply
from tests.law.state import Json, State, difference, fetch_parts, shown
from tests.law.world import NodeProcess
from tests.services.realtime.listening import Ear

LONGEST_REPEAT = 30  # events that are asked for though they were heard
GONE: Json = {"type": "gone"}
HOUR_SECONDS = 3_600
HANDSHAKE_SECONDS = 10.0
VISITORS_SEE = frozenset(
    {
        "message_appended",
        "conversation_taken_over",
        "conversation_assigned",
        "conversation_handed_over",
        "conversation_resolved",
        "conversation_reopened",
        "conversation_snoozed",
    }
)
JOBS = frozenset({"conversations_job_advanced", "knowledge_job_advanced"})


class Sight(Protocol):
    """What somebody keeps of what he has heard."""

    async def fetch(self) -> int:
        """Fetch it anew; returns the cursor from before the first request."""
        ...

    def apply(self, event: Json) -> None:
        """Bring it up to date."""
        ...

    def sees(self, event: Json) -> bool:
        """Tell whether an event of the log is for him."""
        ...


class MemberSight:
    """The organization."""

    def __init__(self, http: httpx.AsyncClient, *, is_admin: bool) -> None:
        self.state = State()
        self._http = http
        self.is_admin = is_admin

    async def fetch(self) -> int:
        seen, cursor = await fetch_parts(self._http, has_jobs=self.is_admin)
        self.state = State.of(seen)
        return cursor

    def apply(self, event: Json) -> None:
        self.state = apply(self.state, event)

    def sees(self, event: Json) -> bool:
        return self.is_admin or event["type"] not in JOBS

    def difference(self, fetched: Json) -> list[str]:
        """Compare with what REST shows; what was never looked into is looked into now."""
        unread = {key: some for key, some in fetched["messages"].items() if key not in self.state.messages}
        self.state = replace(self.state, messages={**self.state.messages, **unread})
        own = shown(self.state)
        fetched = fetched if self.is_admin else fetched | {"jobs": None}
        return difference(own, fetched) if own != fetched else []


class VisitorSight:
    """One conversation, as its customer sees it."""

    def __init__(self, http: httpx.AsyncClient, conversation_id: str) -> None:
        self.id = conversation_id
        self.seen: Json = {}
        self._http = http

    async def fetch(self) -> int:
        self.seen, cursor = await self.fetched()
        return cursor

    async def fetched(self) -> tuple[Json, int]:
        """Return what the widget would show, were it opened now."""
        messages: list[Json] = []
        while True:
            path = f"/api/v1/widget/conversations/{self.id}/messages"
            after = messages[-1]["seq"] if messages else 0
            answer = await self._http.get(path, params={"after": after, "limit": 100})
            if answer.status_code == httpx.codes.NOT_FOUND:
                return {"is_gone": True}, 0
            page = answer.raise_for_status().json()
            messages += page["items"]
            if page["next_cursor"] is None:
                return _standing(page["conversation"]) | {"messages": messages}, page["cursor"]

    def apply(self, event: Json) -> None:
        known = self.seen.get("messages", [])
        message = event.get("message")
        is_new = message is not None and all(message["id"] != one["id"] for one in known)
        messages = sorted([*known, message], key=lambda one: one["seq"]) if is_new else known
        standing = _standing(event["conversation"])
        is_newer = standing["version"] >= self.seen.get("version", 0)
        self.seen = {**self.seen, **(standing if is_newer else {}), "messages": messages}

    def sees(self, event: Json) -> bool:
        is_his = event.get("conversation", {}).get("id") == self.id and event["type"] in VISITORS_SEE
        return is_his and not event.get("message", {}).get("is_private", False)

    def difference(self, fetched: Json) -> list[str]:
        """Compare. The version also grows by what he doesn't see, so his may be an older one."""
        unversioned = {"version": None}
        own = self.seen | unversioned
        return [] if fetched.get("is_gone") else difference(own, fetched | unversioned)


def _standing(conversation: Json) -> Json:
    return {name: conversation[name] for name in ("status", "assignee_name", "version")}


class _Ear(Ear):
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.frames.put_nowait(GONE)
        super().on_ws_disconnected(transport)


class Follower:
    """Keeps a sight up to date over a socket that never lives for long."""

    def __init__(
        self, name: str, sight: MemberSight | VisitorSight, who: Member | Visitor, *, seed: int
    ) -> None:
        self.name = name
        self.sight = sight
        self.cursor = 0
        self.base = 0
        self.heard: list[int] = []
        """The cursors of all events since the base, each when it was new."""
        self.events: list[tuple[int, Json]] = []
        self.wrong: list[str] = []
        self.resyncs = self.repeats = self.arrivals = 0
        self.is_away = self.is_live = False
        self._position = 0
        """Up to where all has been applied; before the cursor while it repeats what it had heard."""
        self._who = who
        self._random = random.Random(seed)  # noqa: S311 - disorder
        self._transport: WSTransport | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, nodes: list[NodeProcess], keys: Keys) -> None:
        self.cursor = self.base = self._position = await self.sight.fetch()
        self._task = asyncio.create_task(self._stay(nodes, keys))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.cut()

    def cut(self) -> None:
        """Lose the connection, without a goodbye."""
        self.is_live = False
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that was heard has been applied, and more would be heard."""
        return self.is_live and self._position >= self.cursor

    def check_alive(self) -> None:
        """Raise what has ended it, if anything has."""
        if self._task is not None and self._task.done():
            self._task.result()

    def expected(self, log: dict[int, Json], up_to: int) -> list[int]:
        """Return which events it must have heard."""
        return [at for at in sorted(log) if self.base < at <= up_to and self.sight.sees(log[at])]

    async def _stay(self, nodes: list[NodeProcess], keys: Keys) -> None:
        while True:
            if not self.is_away:
                with contextlib.suppress(OSError, TimeoutError, WSError):  # nobody is there: come back
                    await self._visit(self._random.choice(nodes), keys)
            self.is_live = False
            await asyncio.sleep(self._random.uniform(0.01, 0.1))

    async def _visit(self, node: NodeProcess, keys: Keys) -> None:
        asked = self._position
        if self._random.random() < 0.5:
            asked = max(self.base, asked - self._random.randrange(LONGEST_REPEAT))
        token = keys.sign_realtime(replace(self._who, expires_at=time.time() + HOUR_SECONDS))
        url = f"ws://127.0.0.1:{node.port}/api/v1/realtime?token={token}&cursor={asked}"
        transport, ear = await asyncio.wait_for(ws_connect(_Ear, url), HANDSHAKE_SECONDS)
        assert isinstance(ear, _Ear)
        self._transport = transport
        if transport.is_disconnected:  # it ended before its handshake
            return
        self.arrivals += 1
        self._position = asked
        while (frame := await ear.frames.get()) is not GONE:
            self._position = await self._take(frame, self._position)

    async def _take(self, frame: Json, last: int) -> int:
        kind = frame["type"]
        if kind == "hello":
            self.is_live = True
        elif kind == "resync":
            self.resyncs += 1
            self.base = self.cursor = int(frame["cursor"])
            self.heard.clear()
            self.events.clear()
            await self.sight.fetch()
            return self.cursor
        elif kind == "heartbeat":
            self.cursor = max(self.cursor, frame["cursor"])
            return max(last, int(frame["cursor"]))
        elif kind == "event":
            at = frame["cursor"]
            if at <= last:
                self.wrong.append(f"{self.name} was sent {at} after {last}")
            if at > self.cursor:
                self.cursor = at
                self.heard.append(at)
                self.events.append((at, frame["event"]))
            else:
                self.repeats += 1
            self.sight.apply(frame["event"])
            return int(at)
        return last
