"""A fail-over drill: agents write all the time, and what was acknowledged must be there afterwards.

Every message has a key of its own. Whoever hears 503, or nothing, sends the same message with the same key
again, as clients are told to. Sockets listen along, and others read.
"""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx

from deploy.failover.listener import Listener

ORGANIZATIONS = 2  # one on each of the two shards
WRITERS = 4  # of each organization, each in a conversation of its own
PAUSE_SECONDS = 0.02  # between two messages of a writer, so that two cores have time for three databases
READ_PAUSE_SECONDS = 0.25
NO_ANSWER_PAUSE_SECONDS = 0.5
REQUEST_SECONDS = 60.0  # more than the gateway lets any request take
LAST_WORD_SECONDS = 120.0  # until the last message of each writer must have been acknowledged
MOST_WRONG = 50  # then something else is wrong, and nothing can be learnt
PAGE = 100


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A message that was answered with success."""

    key: str
    conversation_id: str
    at: float
    """By time.monotonic()."""


@dataclass(slots=True)
class Tally:
    """What was answered, from the first request of the drill on."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    repeated: int = 0
    unanswered: int = 0
    wrong: list[str] = field(default_factory=list)
    """Answers that are neither success nor a 503 that says when to try again."""

    def silence_after(self, moment: float) -> tuple[float, float]:
        """Return the beginning and the end of the longest time without an acknowledgement since a moment.

        An answer may still have been on its way at that moment, so the first one after it says nothing.
        """
        times = [moment, *sorted(message.at for message in self.acknowledged if message.at > moment)]
        return max(itertools.pairwise(times), key=lambda pair: pair[1] - pair[0], default=(moment, moment))

    def judge(self, answer: httpx.Response) -> bool:
        """Count an answer; returns whether it is a success."""
        self.answers[answer.status_code] += 1
        if answer.is_success:
            return True
        is_problem = answer.headers.get("content-type", "").startswith("application/problem+json")
        is_patient = answer.headers.get("retry-after", "").isdigit()
        if not (answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and is_problem and is_patient):
            request = answer.request
            self.wrong.append(
                f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:300]}"
            )
        return False


@dataclass(frozen=True, slots=True)
class Found:
    """What was read back, compared with what had been acknowledged."""

    lost: list[str]
    doubled: list[str]
    out_of_order: list[str]
    """Conversations whose messages aren't numbered 1, 2, 3…"""
    unheard: list[str]
    """Acknowledged, and never told to the organization's socket."""
    heard_twice: list[str]


@dataclass(frozen=True, slots=True)
class _Desk:
    """One organization: its agent's token, its conversations, and an inbox where the assistant is on duty."""

    token: str
    conversations: list[str]
    assistant_key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


class Drill:
    """Writers, readers and sockets of some organizations on one Dana."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=REQUEST_SECONDS)
        self._desks: list[_Desk] = []
        self._listeners: list[Listener] = []
        self._is_over = asyncio.Event()
        self._has_acknowledged = asyncio.Event()
        self.tally = Tally()

    @contextlib.asynccontextmanager
    async def prepared(self) -> AsyncIterator[None]:
        """Sign up, begin the conversations and open the sockets, for the length of the block."""
        try:
            for n in range(ORGANIZATIONS):
                desk = await self._open_desk(n)
                self._desks.append(desk)
                self._listeners.append(Listener(self._http, desk.token))
            for listener in self._listeners:
                await listener.start()
            yield
        finally:
            for listener in self._listeners:
                await listener.stop()
            await self._http.aclose()

    @contextlib.asynccontextmanager
    async def under_load(self) -> AsyncIterator[None]:
        """Write and read during the block; at its end each writer still brings its last message home."""
        self._is_over.clear()
        load = [
            asyncio.create_task(work)
            for desk in self._desks
            for work in (self._read(desk), *(self._write(desk, place) for place in desk.conversations))
        ]
        try:
            yield
            self._is_over.set()
            await asyncio.wait_for(asyncio.gather(*load), LAST_WORD_SECONDS)
        finally:
            for task in load:
                task.cancel()

    async def acknowledgements_after(self, moment: float, at_least: int, patience_seconds: float) -> None:
        """Return when so many messages have been acknowledged since a moment; raises TimeoutError."""
        async with asyncio.timeout(patience_seconds):
            while sum(message.at > moment for message in self.tally.acknowledged[-at_least:]) < at_least:
                self._has_acknowledged.clear()
                await self._has_acknowledged.wait()

    async def ask_assistant(self, patience_seconds: float) -> None:
        """Let a customer write to each organization's assistant, and wait for what it does; TimeoutError."""
        async with asyncio.timeout(patience_seconds):
            for desk in self._desks:
                inbox = f"/api/v1/widget/{desk.assistant_key}/conversations"
                started = await self._insist("POST", inbox, {"name": "Bo"}, {})
                messages = f"/api/v1/widget/conversations/{started['conversation_id']}/messages"
                visitor = {"authorization": f"Bearer {started['token']}"}
                await self._insist("POST", messages, {"text": "Do you ship to Ghent?"}, visitor)
                while True:
                    page = await self._insist("GET", messages, None, visitor)
                    if page["conversation"]["status"] == "open":
                        break
                    await asyncio.sleep(0.1)

    async def read_back(self, patience_seconds: float = 30.0) -> Found:
        """Read everything through the API, and compare it with what was acknowledged."""
        keys = {message.key for message in self.tally.acknowledged}
        found: Counter[str] = Counter()
        out_of_order = []
        for desk in self._desks:
            for place in desk.conversations:
                messages = await self._messages(desk, place)
                found.update(message["text"] for message in messages if message["text"] in keys)
                if [message["seq"] for message in messages] != list(range(1, len(messages) + 1)):
                    out_of_order.append(place)
        heard = await self._heard(keys, patience_seconds)
        return Found(
            lost=sorted(keys - set(found)),
            doubled=[text for text, times in found.items() if times > 1],
            out_of_order=out_of_order,
            unheard=sorted(keys - set(heard)),
            heard_twice=[text for text, times in heard.items() if times > 1],
        )

    async def _heard(self, keys: set[str], patience_seconds: float) -> Counter[str]:
        """Collect what the sockets were told; they may be still on their way."""
        deadline = time.monotonic() + patience_seconds
        while True:
            heard = Counter(text for ear in self._listeners for text in ear.texts if text in keys)
            if keys <= set(heard) or time.monotonic() > deadline:
                return heard
            await asyncio.sleep(0.1)

    async def _open_desk(self, number: int) -> _Desk:
        who = {"email": f"{uuid4().hex}@drill.example", "password": "correct horse battery"}
        session = await self._insist(
            "POST", "/api/v1/auth/signup", who | {"name": "Ana", "organization": f"Drill {number}"}, {}
        )
        agent = {"authorization": f"Bearer {session['access_token']}"}
        plain = {"name": "Web", "channel": "web_widget", "is_assistant_enabled": False}
        inbox = await self._insist("POST", "/api/v1/inboxes", plain, agent)
        answered = plain | {"name": "Assistant", "is_assistant_enabled": True}
        assistant = await self._insist("POST", "/api/v1/inboxes", answered, agent)
        start = f"/api/v1/widget/{inbox['public_key']}/conversations"
        started = [await self._insist("POST", start, {"name": "Bo"}, {}) for _ in range(WRITERS)]
        conversations = [conversation["conversation_id"] for conversation in started]
        return _Desk(session["access_token"], conversations, assistant["public_key"])

    async def _write(self, desk: _Desk, conversation_id: str) -> None:
        path = f"/api/v1/conversations/{conversation_id}/messages"
        while not self._is_over.is_set():
            key = uuid4().hex
            await self._insist("POST", path, {"text": key}, desk.headers, key)
            self.tally.acknowledged.append(Acknowledged(key, conversation_id, time.monotonic()))
            self._has_acknowledged.set()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _read(self, desk: _Desk) -> None:
        while not self._is_over.is_set():
            for path in ("/api/v1/conversations", "/api/v1/auth/me"):
                await self._insist("GET", path, None, desk.headers)
            await asyncio.sleep(READ_PAUSE_SECONDS)

    async def _messages(self, desk: _Desk, conversation_id: str) -> list[dict[str, Any]]:
        path = f"/api/v1/conversations/{conversation_id}/messages"
        messages: list[dict[str, Any]] = []
        after: str | None = "0"
        while after is not None:
            page = await self._insist("GET", f"{path}?after={after}&limit={PAGE}", None, desk.headers)
            messages += page["items"]
            after = page["next_cursor"]
        return messages

    async def _insist(
        self, method: str, path: str, body: Any, headers: dict[str, str], key: str | None = None
    ) -> Any:
        """Send a request until it succeeds, with the pauses that the answers ask for."""
        headers = {**headers, "idempotency-key": key} if key else headers
        is_repeat = False
        while True:
            self.tally.repeated += is_repeat
            is_repeat = True
            try:
                answer = await self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                self.tally.unanswered += 1
                await asyncio.sleep(NO_ANSWER_PAUSE_SECONDS)
                continue
            if self.tally.judge(answer):
                return answer.json()
            pause = answer.headers.get("retry-after", "")
            await asyncio.sleep(int(pause) if pause.isdigit() else NO_ANSWER_PAUSE_SECONDS)
