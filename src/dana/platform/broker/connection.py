"""A connection to the broker that keeps itself connected, to whichever of its nodes answers.

One for each use (publishing, consuming): a broker short of memory stops reading from those who publish, and
must still hear what consumers have done.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import structlog
from aio_pika import Channel, RobustConnection
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from yarl import URL

from dana.platform.broker.measures import CONNECTED, RECONNECTS
from dana.platform.errors import Unavailable

RECONNECT_SECONDS = 0.5  # a broker that restarts is missed by polls of about this length
HEARTBEAT_SECONDS = 10  # a node that vanished without a word is noticed after two or three of them
REPEAT_SECONDS = 60.0  # between two lines of the log that say why it can't be reached
START_SECONDS = 2.0  # a broker that is away must not keep a process from starting
ANSWER_SECONDS = 5.0
CLOSE_SECONDS = 2.0  # a blocked connection doesn't say goodbye

BROKER_ERRORS = CONNECTION_EXCEPTIONS
"""Whatever the client may raise when the broker, or the way to it, is not as it should be."""

log = structlog.get_logger(__name__)


class Connection:
    """One use's connection. All methods belong to the event loop that started it."""

    def __init__(self, url: str, use: str) -> None:
        self._nodes = each_node(url)
        self._use = use
        self._connection: _AnyNode | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._was_connected = False
        self.on_change: list[Callable[[bool], None]] = []
        """Told whenever the connection is lost (False) or there (True)."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker can be spoken to now."""
        return self._connection is not None and self._connection.connected.is_set()

    async def start(self, wait_seconds: float = START_SECONDS) -> bool:
        """Connect and stay connected; returns whether that worked within the time given."""
        self._connection = connection = _AnyNode(self._nodes, self._use)
        connection.reconnect_callbacks.add(self._tell_of_return)
        connection.close_callbacks.add(self._tell_of_loss)
        CONNECTED.labels(self._use).set(0)
        self._connecting = asyncio.create_task(self._connect(connection))
        await asyncio.wait([self._connecting], timeout=wait_seconds)
        return self.is_connected

    async def stop(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if self._connecting:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if connection:
            connection.reconnect_callbacks.clear()
            connection.close_callbacks.clear()
            CONNECTED.labels(self._use).set(0)
            await _close(connection)

    async def renew(self) -> None:
        """Give this connection up, with all that waits in it, and begin a new one."""
        await self.stop()
        self._tell(False)
        await self.start()

    async def channel(self, *, returns: bool = False) -> AbstractChannel:
        """Open a channel with confirms; with `returns`, a message nobody takes raises. Raises Unavailable."""
        connection = self._connection
        if connection is None or not self.is_connected:
            raise Unavailable("RabbitMQ can't be reached.")
        async with answers_in_time():
            channel = connection.channel(publisher_confirms=True, on_return_raises=returns)
            await channel.initialize()
            return channel

    async def _connect(self, connection: "_AnyNode") -> None:
        await connection.connect(timeout=ANSWER_SECONDS)
        self._tell(True)

    def _tell_of_return(self, *_: object) -> None:
        RECONNECTS.labels(self._use).inc()
        self._tell(True)

    def _tell_of_loss(self, *_: object) -> None:
        self._tell(False)

    def _tell(self, is_connected: bool) -> None:
        if is_connected == self._was_connected:
            return  # one more attempt has failed
        self._was_connected = is_connected
        CONNECTED.labels(self._use).set(is_connected)
        log.info("broker_connected" if is_connected else "broker_lost", use=self._use)
        for listener in self.on_change:
            listener(is_connected)


@asynccontextmanager
async def answers_in_time() -> AsyncIterator[None]:
    """Turn whatever the client raises, and a broker that doesn't answer, into Unavailable."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except BROKER_ERRORS as error:
        raise Unavailable("RabbitMQ can't be reached, or doesn't answer.") from error


class _OwnChannel(Channel):
    """A channel that ends with its connection: who uses it begins anew, and knows that it did."""

    async def restore(self, channel: object = None) -> None:
        """Leave it closed."""


class _AnyNode(RobustConnection):
    """What `connect_robust` makes, except that each attempt goes to any of the cluster's nodes."""

    CHANNEL_CLASS = _OwnChannel  # type: ignore[assignment]

    def __init__(self, nodes: list[URL], use: str) -> None:
        query: dict[str, str | float] = {"name": f"dana {use}", "heartbeat": HEARTBEAT_SECONDS}
        query["reconnect_interval"] = RECONNECT_SECONDS
        self._nodes = [node.update_query(query) for node in nodes]
        super().__init__(self._nodes[0], fail_fast="0")

    @property
    def url(self) -> URL:
        """Choose a node."""
        return random.choice(self._nodes)  # noqa: S311 - spreads load, hides nothing

    @url.setter
    def url(self, _: URL) -> None:
        """Keep the list: the client library sets the one address it was given."""


async def _close(connection: RobustConnection) -> None:
    with suppress(*BROKER_ERRORS, asyncio.CancelledError):
        await asyncio.wait_for(connection.close(), CLOSE_SECONDS)


def each_node(url: str) -> list[URL]:
    """Return an address for each node of `amqp://user:password@host1:port,host2:port/vhost`."""
    parts = urlsplit(url)
    login, _, listed = parts.netloc.rpartition("@")
    prefix = f"{login}@" if login else ""
    return [URL(parts._replace(netloc=f"{prefix}{host}").geturl()) for host in listed.split(",")]


class _Seldom(logging.Filter):
    """Lets a library say the same only once in a while: it tries twice a second."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether this is worth a line."""
        now, text = time.monotonic(), record.getMessage()
        self._said_at = {said: at for said, at in self._said_at.items() if now - at < self._seconds}
        return self._said_at.setdefault(text, now) == now


logging.getLogger("aio_pika.robust_connection").addFilter(_Seldom(REPEAT_SECONDS))
logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # it tells of the same attempts
