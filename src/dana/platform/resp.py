"""A connection to a server that speaks RESP3 (Valkey, Redis), which reconnects by itself.

Commands of one turn of the event loop leave in one write; answers come in the order of the commands.
"""

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import hiredis
import structlog

from dana.platform.errors import Unavailable

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_SECONDS = 3.0
ANSWER_TIMEOUT_SECONDS = 3.0  # answers come in order, so one that is late means that all are
PING_EVERY_SECONDS = 1.0
RECONNECT_FIRST_SECONDS = 0.05
RECONNECT_LAST_SECONDS = 2.0
MAX_WAITING_ANSWERS = 20_000
MAX_UNSENT_BYTES = 16 * 1024 * 1024

DEFAULT_PORT = 6379

Argument = str | bytes | int | float
Command = tuple[Argument, ...]
Push = Callable[[list[Any]], None]
Refusal = Callable[[hiredis.ReplyError, bytes | None], None]
"""Is told of errors that nobody waits for, and of which channel's subscription they are, if of any."""


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """What an address says: `redis[s][+cluster]://[user]:password@host:port[,host:port…]/database`."""

    addresses: tuple[Address, ...]
    greeting: tuple[Command, ...]
    is_secure: bool
    is_cluster: bool

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Read an address; `valkey` is as good as `redis`."""
        parts = urlsplit(url)
        scheme, _, kind = parts.scheme.partition("+")
        login, _, listed = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        hello: Command = ("HELLO", "3")
        if password:
            hello += ("AUTH", unquote(user or "default"), unquote(password))
        greeting: list[Command] = [hello, ("CLIENT", "SETNAME", "dana")]
        database = parts.path.strip("/")
        if database not in ("", "0"):
            greeting.append(("SELECT", database))
        return cls(
            addresses=tuple(_address(each) for each in listed.split(",")),
            greeting=tuple(greeting),
            is_secure=scheme in ("rediss", "valkeys"),
            is_cluster=kind == "cluster" or "," in listed,
        )


class Protocol(asyncio.Protocol):
    """One connection, from its first byte to its last."""

    def __init__(self, on_push: Push, on_refused: Refusal | None = None) -> None:
        self._on_push = on_push
        self._on_refused = on_refused
        self._reader = hiredis.Reader()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[asyncio.Future[Any] | bytes | None] = deque()
        self._unsent: list[bytes] = []
        self.is_lost = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether so much is under way already that more would only pile up."""
        transport = self._transport
        return (
            transport is None
            or len(self._waiting) >= MAX_WAITING_ANSWERS
            or transport.get_write_buffer_size() > MAX_UNSENT_BYTES
        )

    @property
    def peer(self) -> Address:
        """Where the other side listens."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        return Address(*name[:2]) if name else Address("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits that no answer will come."""
        self._transport = None
        self.is_lost.set()
        while self._waiting:
            answer = self._waiting.popleft()
            if isinstance(answer, asyncio.Future) and not answer.done():
                answer.set_exception(Unavailable("The connection to Valkey was lost."))

    def data_received(self, data: bytes) -> None:
        """Give each answer to whom it belongs."""
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                self._take(answer)
        except hiredis.ProtocolError:
            log.exception("valkey_protocol_broken")
            self.abort()

    def ask(self, command: Command) -> asyncio.Future[Any]:
        """Send a command; the future gets its answer, an error answer as a value."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self._transport is None:
            answer.set_exception(Unavailable("The connection to Valkey was lost."))
        else:
            self._waiting.append(answer)
            self._write(command)
        return answer

    def tell(self, command: Command) -> None:
        """Send a command and ignore its answer."""
        if self._transport is not None:
            self._waiting.append(None)
            self._write(command)

    def request_push(self, command: Command) -> None:
        """Send a command that is answered by a push only, such as SUBSCRIBE."""
        if self._transport is not None:
            self._write(command)

    def subscribe(self, command: str, channel: bytes) -> None:
        """Subscribe where that can be refused: it is answered by a push, or else by an error, in its turn."""
        if self._transport is not None:
            self._waiting.append(channel)
            self._write((command, channel))

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, answer: Any) -> None:
        if isinstance(answer, hiredis.PushNotification):
            if answer[0] == b"ssubscribe" and self._waiting and self._waiting[0] == answer[1]:
                self._waiting.popleft()
            self._on_push(answer)
            return
        if not self._waiting:
            raise hiredis.ProtocolError("an answer that nobody asked for")
        waiting = self._waiting.popleft()
        if isinstance(waiting, asyncio.Future):
            if not waiting.done():
                waiting.set_result(answer)
        elif isinstance(answer, hiredis.ReplyError):
            if waiting is None:
                log.warning("valkey_refused", error=str(answer))
            if self._on_refused is not None:
                self._on_refused(answer, waiting)

    def _write(self, command: Command) -> None:
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(hiredis.pack_command(cast("Any", command)))

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()


class Link:
    """Keeps one connection alive: connects, signs in, pings, and begins again after a loss.

    With several addresses it leads to any one of them, and after a loss to the next.
    """

    def __init__(
        self,
        target: Target,
        addresses: Sequence[Address],
        on_push: Push,
        on_connected: Callable[[Protocol], None],
        on_lost: Callable[[], None] | None = None,
        *,
        on_refused: Refusal | None = None,
    ) -> None:
        self._target = target
        self.addresses = addresses
        self._on_refused = on_refused
        self._turn = 0
        self._on_push = on_push
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._runner: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self.protocol: Protocol | None = None

    async def start(self, wait_seconds: float) -> None:
        """Begin; returns when connected, or after this long without."""
        if self._runner is None:
            self._runner = asyncio.create_task(self._stay_connected())
        waiter = asyncio.create_task(self._connected.wait())
        await asyncio.wait({waiter}, timeout=wait_seconds)
        waiter.cancel()

    async def stop(self) -> None:
        """Disconnect for good."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None

    async def _stay_connected(self) -> None:
        pause = RECONNECT_FIRST_SECONDS
        while True:
            try:
                protocol = await self._connect()
            except (OSError, TimeoutError, Unavailable, hiredis.HiredisError) as error:
                if pause == RECONNECT_FIRST_SECONDS:  # once for each outage
                    log.warning("valkey_unreachable", error=str(error) or type(error).__name__)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                pause = min(pause * 2, RECONNECT_LAST_SECONDS)
                self._turn += 1
                continue
            pause = RECONNECT_FIRST_SECONDS
            try:
                self.protocol = protocol
                self._connected.set()
                self._on_connected(protocol)
                await _until_lost(protocol)
            finally:
                self.protocol = None
                self._connected.clear()
                protocol.abort()
                if self._on_lost is not None:
                    self._on_lost()
            log.warning("valkey_connection_lost")

    async def _connect(self) -> Protocol:
        host, port = self.addresses[self._turn % len(self.addresses)]
        loop = asyncio.get_running_loop()
        secure = ssl.create_default_context() if self._target.is_secure else None
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            _, protocol = await loop.create_connection(
                lambda: Protocol(self._on_push, self._on_refused), host, port, ssl=secure
            )
            try:
                await self._greet(protocol)
            except BaseException:
                protocol.abort()
                raise
        return protocol

    async def _greet(self, protocol: Protocol) -> None:
        for command in self._target.greeting:
            answer = await protocol.ask(command)
            if isinstance(answer, hiredis.ReplyError):
                raise answer


async def _until_lost(protocol: Protocol) -> None:
    """Return when the connection has ended, or has been silent for too long."""
    while not protocol.is_lost.is_set():
        pong = protocol.ask(("PING",))
        try:
            await asyncio.wait({pong}, timeout=ANSWER_TIMEOUT_SECONDS)
            if not pong.done():
                # Our own loop may have been held up: the answer may be there already, but unread.
                await asyncio.wait({pong}, timeout=PING_EVERY_SECONDS)
            if not pong.done() or pong.exception() is not None:
                return
        finally:
            pong.cancel()
        lost = asyncio.create_task(protocol.is_lost.wait())
        await asyncio.wait({lost}, timeout=PING_EVERY_SECONDS)
        lost.cancel()


def _address(text: str) -> Address:
    parts = urlsplit(f"//{text}")
    return Address(parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORT)
