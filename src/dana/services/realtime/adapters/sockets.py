"""What every transport keeps to: limits, how a request for a socket is read, how fragments become a frame."""

import asyncio
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from dana.platform.errors import Invalid
from dana.platform.gateway.headers import QUERY_TOKEN
from dana.services.realtime.models import Client, Close, Socket, bye
from dana.services.realtime.models import retry_ms as spread_ms

PATH = "/api/v1/realtime"
PROBE_PATH = "/healthz"
MAX_INCOMING_BYTES = 4 * 1024  # clients say little: what they follow and have got, that they are typing
MAX_FRAME_BYTES = 2 * MAX_INCOMING_BYTES  # beyond, the transport itself ends the connection
MAX_UNSENT_BYTES = 1024 * 1024
DRAIN_SECONDS = 20.0
GOODBYE_SECONDS = 3.0  # then the connection is cut without waiting for the other side
HANDSHAKE_SECONDS = 10.0  # of which most may pass in this node's own queue, when all come back at once
IDLE_SECONDS = 15.0  # of silence, and the client is asked whether it is there
PONG_SECONDS = 10.0  # to answer that (picows wants less than the silence): the dead are known after 25 s
BACKLOG = 2_048


class Arrivals(Protocol):
    """Who is told about sockets."""

    def arrive(self, socket: Socket, token: str, cursor: str | None, channels: str | None) -> Client | None:
        """Let a socket in, or close it."""
        ...

    def hear(self, client: Client, frame: bytes) -> None:
        """Take in a text frame."""
        ...

    def leave(self, client: Client) -> None:
        """Forget a client."""
        ...


class SocketServer(Protocol):
    """A transport: listens for WebSockets and tells `Arrivals` about them."""

    @property
    def port(self) -> int:
        """The port it listens on."""
        ...

    async def start(self) -> None:
        """Begin to listen."""
        ...

    def stop_listening(self) -> None:
        """Let nobody new in."""
        ...

    async def closed(self) -> None:
        """Return when all connections have ended, or after the time of a goodbye."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody who asks for a socket says of it."""

    token: str
    cursor: str | None
    channels: str | None

    @classmethod
    def of(cls, query: str) -> "Wish":
        """Read the query of its address."""
        said = parse_qs(query)

        def first(name: str) -> str | None:
            return said.get(name, [None])[0]

        return cls(first(QUERY_TOKEN) or "", first("cursor"), first("channels"))

    @classmethod
    def at(cls, target: str) -> "Wish | None":
        """Read the target of a request; None when it isn't that of sockets."""
        url = urlsplit(target)
        return cls.of(url.query) if url.path == PATH else None


class Fragments:
    """Puts the fragments of a text frame together."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun: bytes | None = None

    def add(self, part: bytes, *, is_first: bool, is_last: bool) -> bytes | None:
        """Return the whole frame when it is complete; raises Invalid."""
        if is_first != (self._begun is None):
            raise Invalid("fragments out of order")
        whole = (self._begun or b"") + part
        if len(whole) > MAX_INCOMING_BYTES:
            raise Invalid("frame too big")
        if not is_last:
            self._begun = whole
            return None
        self._begun = None
        try:
            whole.decode()
        except UnicodeDecodeError:
            raise Invalid("not UTF-8") from None
        return whole


class BufferedSocket(ABC):
    """What the transports' sockets share: who reads slowly is waited for, then cut; goodbyes take seconds.

    So it is with who is silent: asked, then cut. One timer for each connection is less than a task.
    """

    __slots__ = ("_can_write", "_heard_at", "_is_asked", "_loop", "_watch", "is_open", "is_paused")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._can_write: asyncio.Event | None = None
        self._heard_at = self._loop.time()
        self._is_asked = False
        self._watch = self._loop.call_later(IDLE_SECONDS, self._look)
        self.is_open = True
        self.is_paused = False

    def close(self, code: int, reason: str, retry_ms: int | None = None) -> None:
        """Say goodbye; cut the connection if the other side doesn't answer."""
        if not self.is_open:
            return
        self.ended()
        self._say_goodbye(code, reason, farewell(code, reason, retry_ms))
        self._loop.call_later(GOODBYE_SECONDS, self._cut)

    async def drained(self) -> None:
        """Wait until the client has taken most of it; a client that takes nothing for long is cut."""
        if not (self.is_paused and self.is_open):
            return
        if self._can_write is None:
            self._can_write = asyncio.Event()
        try:
            await asyncio.wait_for(self._can_write.wait(), DRAIN_SECONDS)
        except TimeoutError:
            self.close(Close.TOO_SLOW, "too slow")

    def pause(self) -> None:
        """Note that the system's buffer is full."""
        self.is_paused = True

    def resume(self) -> None:
        """Note that there is room again."""
        self.is_paused = False
        self._let_go()

    def heard(self) -> None:
        """Note a sign of life."""
        self._heard_at = self._loop.time()
        if self._is_asked and self.is_open:
            self._is_asked = False
            self._watch.cancel()
            self._watch = self._loop.call_later(IDLE_SECONDS, self._look)

    def ended(self) -> None:
        """Note that nothing leaves any more."""
        self.is_open = False
        self._watch.cancel()
        self._let_go()

    def _look(self) -> None:
        silent_seconds = self._loop.time() - self._heard_at
        wait_seconds = IDLE_SECONDS - silent_seconds
        if self._is_asked:
            self._cut()
            return
        if wait_seconds <= 0:
            self._is_asked = True
            self._ask()
            wait_seconds = PONG_SECONDS
        self._watch = self._loop.call_later(wait_seconds, self._look)

    def _let_go(self) -> None:
        if self._can_write is not None:
            self._can_write.set()
            self._can_write = None

    @abstractmethod
    def _say_goodbye(self, code: int, reason: str, frame: bytes) -> None:
        """Send the last frame, and a close frame behind it."""

    @abstractmethod
    def _ask(self) -> None:
        """Send a ping."""

    @abstractmethod
    def _cut(self) -> None:
        """End the connection at once."""


def farewell(code: int, reason: str, retry_ms: int | None) -> bytes:
    """Make the last frame; unless it is said when to come back, that is spread by chance."""
    return bye(code, reason, spread_ms(code, random.random()) if retry_ms is None else retry_ms)  # noqa: S311
