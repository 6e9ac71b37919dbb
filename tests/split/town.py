"""A Dana in many processes, and people who use all of it at once through the gateway.

Sockets come back by themselves with the cursor they have, as browsers do. Requests are repeatable ones only:
reads, and POSTs with an Idempotency-Key.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from loadtest.sockets import socket_address

START_SECONDS = 120
WRITE_PAUSE_SECONDS = 0.15  # of each chat: some 25 messages a second together
READ_PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 60.0
CHATS = 4
GENEROUS = {"DANA_LIMITS_FACTOR": "1000"}
"""So many people in one organization, from one address, are a test."""
QUESTION = "How long do I have to send something back?"


@dataclass
class Split:
    """`dana up --split` in a process of its own."""

    data: Path
    url: str
    process: subprocess.Popen[bytes]

    def pid(self, name: str) -> int:
        return int((self.data / "logs" / f"{name}.pid").read_text())

    def kill(self, name: str) -> int:
        """Kill -9 one process; returns which it was."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def restart(self, *services: str) -> list[dict[str, str]]:
        command = [sys.executable, "-m", "dana", "restart", *services, "--data", str(self.data)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return [msgspec.json.decode(line) for line in run.stdout.splitlines()]


@contextlib.contextmanager
def started(folder: Path, port: int, *options: str, **environment: str) -> Any:
    """Start, wait until it says that it is ready, and stop it."""
    log = folder / "up.log"
    command = [sys.executable, "-m", "dana", "up", "--split", "--port", str(port), *options]
    clean = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data")],
            stdout=output,
            stderr=output,
            env=clean | environment,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Dana is ready" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Split(folder / "data", f"http://127.0.0.1:{port}", process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


class Reader(WSListener):
    """One person's socket; it comes back whenever it is cut, and continues where it was."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._token = token
        self.cursor: int | None = None
        self.cursors: list[int] = []
        self.messages: list[dict[str, Any]] = []
        self.codes: list[int] = []
        self.resyncs = 0
        self.ready = asyncio.Event()
        self._cut = asyncio.Event()
        self._transport: WSTransport | None = None
        self._task = asyncio.create_task(self._stay())

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.codes.append(int(cast("int", frame.get_close_code())))
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self._take(msgspec.json.decode(frame.get_payload_as_bytes()))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._cut.set()

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "hello":
            self.ready.set()
        if frame["type"] == "resync":
            self.resyncs += 1
        if "cursor" in frame:
            self.cursor = frame["cursor"]
        if frame["type"] == "event":
            self.cursors.append(frame["cursor"])
            if frame["event"]["type"] == "message_appended":
                self.messages.append(frame["event"]["message"])

    async def _stay(self) -> None:
        while True:
            self._cut.clear()
            with contextlib.suppress(Exception):  # refused, cut, nobody there: come back
                address = await socket_address(self._http, self._token, self.cursor)
                self._transport, _ = await ws_connect(lambda: self, address)
                # A connection that ends before the handshake does is returned as if nothing had happened.
                if not self._transport.is_disconnected:
                    await self._cut.wait()
            await asyncio.sleep(0.1)


@dataclass
class Chat:
    """One conversation and its two sides."""

    id: str
    token: str
    reader: Reader


@dataclass
class Town:
    """An organization with its people at work."""

    url: str
    http: httpx.AsyncClient
    patience_seconds: float = 0.0
    """How long a request that failed is repeated; 0 when a failure counts at once."""
    token: str = ""
    chats: list[Chat] = field(default_factory=list)
    reader: Reader | None = None
    inbox: dict[str, Any] = field(default_factory=dict)
    helped: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)
    """The conversation of each message that was acknowledged, by its text."""
    requests: int = 0
    _people: list[asyncio.Task[None]] = field(default_factory=list)

    async def settle(self) -> None:
        """Sign up, add knowledge, open the conversations and all sockets."""
        who = {"email": f"{uuid4().hex}@example.org", "password": "correct horse battery"}
        who |= {"name": "Ana", "organization": "Town"}
        self.token = (await self.must("POST", "/api/v1/auth/signup", who))["access_token"]
        self.reader = Reader(self.http, self.token)
        await asyncio.wait_for(self.reader.ready.wait(), PATIENCE_SECONDS)
        inbox = {"name": "Web", "channel": "web_widget", "is_assistant_enabled": False}
        self.inbox = await self.must("POST", "/api/v1/inboxes", inbox, self.token)
        helped = {"name": "Help", "channel": "web_widget", "is_assistant_enabled": True}
        self.helped = await self.must("POST", "/api/v1/inboxes", helped, self.token)
        await self.must("POST", "/api/v1/knowledge/sample", {}, self.token)
        self.chats = [await self.begin(self.inbox) for _ in range(CHATS)]
        await self.until(self._is_everything_searchable)

    async def begin(self, inbox: dict[str, Any]) -> Chat:
        """Begin a conversation as a customer."""
        path = f"/api/v1/widget/{inbox['public_key']}/conversations"
        begun = await self.must("POST", path, {"name": "Bo"}, key=str(uuid4()))
        chat = Chat(begun["conversation_id"], begun["token"], Reader(self.http, begun["token"]))
        await asyncio.wait_for(chat.reader.ready.wait(), PATIENCE_SECONDS)
        return chat

    async def ask_assistant(self) -> Chat:
        """Ask the assistant something that the knowledge answers."""
        chat = await self.begin(self.helped)
        path = f"/api/v1/widget/conversations/{chat.id}/messages"
        await self.must("POST", path, {"text": QUESTION}, chat.token, key=str(uuid4()))
        return chat

    @contextlib.asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Let everybody write and read for the length of the block."""
        self._people = [asyncio.create_task(self._write(chat)) for chat in self.chats]
        self._people.append(asyncio.create_task(self._read()))
        leave = asyncio.Event()
        self._leave = leave
        try:
            yield
        finally:
            leave.set()
            await asyncio.gather(*self._people)

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for it."""
        deadline = time.monotonic() + seconds
        while True:
            is_so = condition()
            if await is_so if asyncio.iscoroutine(is_so) else is_so:
                return
            assert time.monotonic() < deadline, f"it did not happen in {seconds} s: {condition}"
            await asyncio.sleep(0.05)

    async def is_answering(self, path: str) -> bool:
        """Look whether somebody answers there at this moment."""
        try:
            answer = await self.http.get(path, headers=self._headers(self.token, None))
        except httpx.HTTPError:
            return False
        return answer.status_code < 500

    async def must(
        self, method: str, path: str, body: Any = None, token: str = "", key: str | None = None
    ) -> Any:
        """Send a request that can't fail."""
        answer = await self._send(method, path, body, token, key)
        assert answer is not None, self.failures
        return answer

    async def history(self, chat: Chat) -> list[dict[str, Any]]:
        """Return all messages of a conversation, from the API, oldest first."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            path = f"/api/v1/widget/conversations/{chat.id}/messages?limit=100{cursor}"
            page = await self.must("GET", path, token=chat.token)
            found += page["items"]
            if not page["next_cursor"]:
                return found
            cursor = f"&after={page['next_cursor']}"

    async def stop(self) -> None:
        for reader in [chat.reader for chat in self.chats] + ([self.reader] if self.reader else []):
            await reader.stop()

    async def _write(self, chat: Chat) -> None:
        """Write as the customer and as the agent by turns."""
        for is_customer in itertools.cycle((True, False)):
            if self._leave.is_set():
                return
            text = uuid4().hex
            path = f"/api/v1/{'widget/' if is_customer else ''}conversations/{chat.id}/messages"
            token = chat.token if is_customer else self.token
            if await self._send("POST", path, {"text": text}, token, str(uuid4())) is not None:
                self.acknowledged[text] = chat.id
            await asyncio.sleep(WRITE_PAUSE_SECONDS)

    async def _read(self) -> None:
        """Read something from each service by turns."""
        for path in itertools.cycle(SOMETHING_OF_EACH.values()):
            if self._leave.is_set():
                return
            await self._send("GET", path, None, self.token, None)
            await asyncio.sleep(READ_PAUSE_SECONDS)

    async def _send(self, method: str, path: str, body: Any, token: str, key: str | None) -> Any:
        """Return the decoded answer, or None for a failure, which is noted."""
        began = time.monotonic()
        while True:
            self.requests += 1
            try:
                answer = await self.http.request(method, path, json=body, headers=self._headers(token, key))
            except httpx.HTTPError as error:
                failure = f"{method} {path}: {error!r}"
            else:
                if answer.status_code < 300 or (answer.status_code == 403 and path == OPERATORS_ONLY):
                    return msgspec.json.decode(answer.content) if "json" in _kind(answer) else answer.text
                failure = f"{method} {path}: {answer.status_code} {answer.text[:200]}"
                assert answer.status_code >= 500 or answer.status_code == 429, failure
            if time.monotonic() - began >= self.patience_seconds:
                self.failures.append(failure)
                return None
            await asyncio.sleep(0.1)

    async def _is_everything_searchable(self) -> bool:
        documents = await self.must("GET", "/api/v1/knowledge/documents", token=self.token)
        return all(document["status"] == "searchable" for document in documents["items"])

    def _headers(self, token: str, key: str | None) -> dict[str, str]:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return headers | ({"idempotency-key": key} if key else {})


OPERATORS_ONLY = "/api/v1/platform/shards"
"""That others are refused there says that placement answers."""
SOMETHING_OF_EACH = {
    "auth": "/api/v1/auth/me",
    "conversations": "/api/v1/conversations",
    "knowledge": "/api/v1/knowledge/search?q=returns",
    "ai": "/api/v1/assistant",
    "placement": OPERATORS_ONLY,
    "web": "/openapi.json",
}


def _kind(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", ""))
