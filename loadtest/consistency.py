"""Does anybody read less than they have written? Writers check every answer that follows their own writes.

Each round posts a message and at once reads it back in one of several ways, through the public API. A
client that carries positions must always find it. One that says `Dana-Position: any` each time must not
always: while a replica lags it is shown the past, or else this check could not see a stale read at all.
"""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

HEADER = "dana-position"
ANYTHING = "any"


@dataclass
class Tally:
    """What the checks have found."""

    rounds: int = 0
    stale: list[str] = field(default_factory=list)
    refused: int = 0
    """Requests that were told to come again; they say nothing about staleness."""


class Reader:
    """A client of the API that carries positions, or pretends to have seen nothing."""

    def __init__(self, http: httpx.AsyncClient, token: str, *, carries_positions: bool) -> None:
        self._http = http
        self._token = token
        self._carries = carries_positions
        self.position = ANYTHING

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Return the decoded answer; raises httpx.HTTPStatusError."""
        headers = {"authorization": f"Bearer {self._token}", HEADER: self.position}
        if key:
            headers["idempotency-key"] = key
        answer = (await self._http.request(method, path, json=body, headers=headers)).raise_for_status()
        self.hear(answer.headers.get(HEADER))
        return answer.json()

    def hear(self, position: str | None) -> None:
        """Keep the greatest position that was met."""
        if self._carries and position and (self.position == ANYTHING or position > self.position):
            self.position = position


async def write_and_read(
    reader: Reader, conversation_id: str, tally: Tally, until: Callable[[], bool]
) -> None:
    """Post and read back until told to stop."""
    path = f"/api/v1/conversations/{conversation_id}"
    checks = itertools.cycle((_in_messages, _in_conversation, _in_list))
    while not until():
        try:
            body = {"text": f"round {tally.rounds}"}
            message = await reader.call("POST", f"{path}/messages", body, key=uuid4().hex)
            check = next(checks)
            seen = await check(reader, path, message["conversation_id"])
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise
            tally.refused += 1
            continue
        tally.rounds += 1
        if seen < message["seq"]:
            tally.stale.append(f"{check.__name__}: message {message['seq']} written, {seen} read")


async def _in_messages(reader: Reader, path: str, conversation_id: str) -> int:
    page = await reader.call("GET", f"{path}/messages?limit=1")
    return int(page["items"][-1]["seq"]) if page["items"] else 0


async def _in_conversation(reader: Reader, path: str, conversation_id: str) -> int:
    return int((await reader.call("GET", path))["last_seq"])


async def _in_list(reader: Reader, path: str, conversation_id: str) -> int:
    page = await reader.call("GET", "/api/v1/conversations?limit=50")
    mine = [found["last_seq"] for found in page["items"] if found["id"] == conversation_id]
    return int(mine[0]) if mine else 0


async def furnish(http: httpx.AsyncClient, conversations: int) -> tuple[str, list[str]]:
    """Sign an organization up with some conversations; returns the owner's token and the conversations."""
    who = {"email": f"{uuid4().hex}@example.test", "password": uuid4().hex}
    who |= {"name": "Ana", "organization": "Consistency"}
    session = (await http.post("/api/v1/auth/signup", json=who)).raise_for_status().json()
    headers = {"authorization": f"Bearer {session['access_token']}"}
    body = {"name": "Web", "channel": "web_widget", "is_assistant_enabled": False}
    inbox = (await http.post("/api/v1/inboxes", json=body, headers=headers)).raise_for_status().json()
    path = f"/api/v1/widget/{inbox['public_key']}/conversations"
    begun = [
        (await http.post(path, json={"name": "Bo"})).raise_for_status().json() for _ in range(conversations)
    ]
    return session["access_token"], [started["conversation_id"] for started in begun]


async def lag_now_and_then(
    pause: Callable[[], Awaitable[Any]],
    resume: Callable[[], Awaitable[Any]],
    sleep: Callable[[float], Awaitable[Any]],
    *,
    paused_seconds: float,
    every_seconds: float,
    until: Callable[[], bool],
) -> None:
    """Let a replica stand still for a part of the time."""
    try:
        while not until():
            await sleep(every_seconds - paused_seconds)
            await pause()
            await sleep(paused_seconds)
            await resume()
    finally:
        await resume()
