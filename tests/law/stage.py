"""One organization on which a scenario is played, and somebody who listens."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from dana.contracts.ids import new_id
from tests.conftest import SignedUp, SignUp
from tests.law.reducer import apply
from tests.law.state import Json, State, difference, fetch, shown
from tests.services.realtime.listening import Listener, Node

PATIENCE_SECONDS = 30.0  # for a machine that is busy with something else


@dataclass(frozen=True)
class Chat:
    """A conversation, and its customer's token."""

    id: str
    headers: dict[str, str]
    started: Json


@dataclass
class Stage:
    """What a scenario may do, in the words of people."""

    owner: SignedUp
    anybody: httpx.AsyncClient
    sign_up: SignUp
    props: Json = field(default_factory=dict)
    """What a scenario has prepared for itself."""

    async def do(self, method: str, path: str, body: Any = None, **more: Any) -> Json:
        """Send the owner's request, which can't fail."""
        answer = await self.owner.http.request(method, f"/api/v1/{path}", json=body, **more)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        found: Json = answer.json() if answer.content else {}
        return found

    async def open_inbox(self, name: str = "Web", *, has_assistant: bool = False) -> Json:
        body = {"name": name, "channel": "web_widget", "is_assistant_enabled": has_assistant}
        return await self.do("POST", "inboxes", body)

    async def begin(self, inbox: Json, *texts: str, name: str = "Eve") -> Chat:
        path = f"/api/v1/widget/{inbox['public_key']}/conversations"
        begun = (await self.anybody.post(path, json={"name": name})).raise_for_status().json()
        headers = {"Authorization": f"Bearer {begun['token']}"}
        chat = Chat(begun["conversation_id"], headers, begun)
        for text in texts:
            await self.write(chat, text)
        return chat

    async def write(self, chat: Chat, text: str) -> None:
        path = f"/api/v1/widget/conversations/{chat.id}/messages"
        (await self.anybody.post(path, json={"text": text}, headers=chat.headers)).raise_for_status()

    async def act(self, chat: Chat, verb: str, body: Any = None) -> Json:
        return await self.do("POST", f"conversations/{chat.id}/{verb}", body)

    async def reply(self, chat: Chat, text: str, *, is_private: bool = False) -> Json:
        return await self.act(chat, "messages", {"text": text, "is_private": is_private})

    async def invite(self, email: str | None = None) -> str:
        """Invite somebody as an agent; returns what makes the link secret."""
        body = {"email": email or f"{new_id()}@example.org", "role": "agent"}
        return str((await self.do("POST", "invitations", body))["link"]).rpartition("/")[2]

    async def join(self, invitation: str, name: str = "Ben") -> Json:
        body = {"name": name, "password": "correct horse battery"}
        answer = await self.anybody.post(f"/api/v1/auth/invitations/{invitation}/accept", json=body)
        member: Json = answer.raise_for_status().json()["user"]
        return member

    async def upload(self, filename: str, text: str) -> Json:
        return await self.do("POST", "knowledge/documents", files={"file": (filename, text.encode())})

    async def until(self, path: str, is_so: Callable[[Json], bool]) -> Json:
        """Ask until it is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so(found := await self.do("GET", path)):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)
        return found

    async def searchable(self, filename: str, text: str) -> Json:
        document = await self.upload(filename, text)
        return await self.until(
            f"knowledge/documents/{document['id']}", lambda one: one["status"] == "searchable"
        )

    async def is_assignable(self, member: Json, chat: Chat) -> None:
        """Wait until conversations have heard of a member, and assign them one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        path = f"/api/v1/conversations/{chat.id}/assign"
        while True:
            answer = await self.owner.http.post(path, json={"assignee_id": member["user_id"]})
            if answer.is_success:
                return
            assert time.monotonic() < deadline, answer.text
            await asyncio.sleep(0.05)

    @staticmethod
    def later(**ahead: float) -> str:
        """Name a time ahead."""
        return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


@dataclass
class Played:
    """A scenario that was played: what was shown before and after, and the events between."""

    before: Json
    events: list[Json]
    after: Json


async def quiet(owner: SignedUp) -> tuple[Json, int]:
    """Fetch all when nothing goes on behind any more."""
    seen, cursor = await fetch(owner.http, has_jobs=True, is_thorough=True)
    while True:
        await asyncio.sleep(0.1)
        again, now = await fetch(owner.http, has_jobs=True, is_thorough=True)
        if (again, now) == (seen, cursor):
            return seen, cursor
        seen, cursor = again, now


async def watch(
    stage: Stage,
    node: Node,
    start: tuple[Json, int],
    act: Callable[[], Any],
    is_over: Callable[[list[Json]], bool],
) -> Played:
    """Play, and apply what is heard until that is over; then what was applied must be what is fetched."""
    before, cursor = start
    who = node.keys.verify_member(stage.owner.token)
    listener = await node.join(node.token_of(who), cursor)
    await act()
    state, events = State.of(before), list[Json]()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        for event in await _heard(listener):
            events.append(event)
            state = apply(state, event)
        after, _ = await fetch(stage.owner.http, has_jobs=True, is_thorough=True)
        if is_over(events) and listener.ear.frames.empty() and shown(state) == after:
            await listener.hang_up()
            return Played(before, events, after)
        assert time.monotonic() < deadline, "\n".join(
            ["not the same:", *difference(shown(state), after), f"{events}"]
        )


async def _heard(listener: Listener) -> list[Json]:
    """Return the events of the next moment."""
    await asyncio.sleep(0.05)
    events = []
    while not listener.ear.frames.empty():
        frame = listener.ear.frames.get_nowait()
        assert frame["type"] in {"event", "heartbeat", "presence", "ephemeral"}, frame
        if frame["type"] == "event":
            events.append(frame["event"])
    return events
