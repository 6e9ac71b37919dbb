"""Fan-out: what was committed, and what is fleeting, goes to every node with a socket of the organization.

One channel for each organization carries four sorts of messages, told apart by their first byte:

  E  events:    8 bytes first cursor, then a JSON array of the events
  P  a poke:    8 bytes newest cursor; the events were too big to carry, read them from the log
  X  fleeting:  1 byte audience, 8 bytes origin, 16 bytes conversation, then the frame for the clients
  C  changed:   channels of sockets, with commas, in which somebody has come or gone; read who is there

The newest messages with events are also kept there for a while, for nodes that come to an organization later.

It may lose messages (Valkey dies, a buffer is full): readers know by the cursor, and read the log.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform.errors import Unavailable
from dana.platform.outbox import Outbox, Pending
from dana.platform.valkey import Valkey

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 256 * 1024
MAX_REMEMBERED = 256  # messages of each organization: what nodes and clients miss while they come back
MAX_REMEMBERED_BYTES = 16 * 1024  # of each message; a bigger one is read from the log
REMEMBERED_MS = 5 * 60 * 1000  # after the last, so that those who write seldom cost nothing
HISTORY_SECONDS = 0.5  # then the log is asked instead

INTERNAL_EVENTS = frozenset({"answer_requested", "answer_proposed"})
"""Events between services only; nodes need their cursors, not their contents."""

UNSENT = Counter("dana_fanout_unsent_total", "Messages that couldn't leave; nodes read the log instead.")

NOBODY = b"\0" * 8
_NO_CONVERSATION = b"\0" * 16
_cursor = struct.Struct(">Q")
_EVENTS_AT = 9
_FRAME_AT = 26


class Committed(msgspec.Struct, frozen=True):
    """One committed event as it travels; the parts that nobody here looks into stay as they are."""

    id: msgspec.Raw
    type: str
    created_at: msgspec.Raw
    key: UUID | None = None
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    position: str | None = None
    """What a replica must show to whoever has heard of this event; on shards with replicas."""


@dataclass(frozen=True, slots=True)
class Events:
    """Committed events; the first has this cursor, each of the others the next."""

    first_cursor: int
    events: list[Committed]


@dataclass(frozen=True, slots=True)
class Poke:
    """There are events up to this cursor; read them from the log."""

    cursor: int


@dataclass(frozen=True, slots=True)
class Fleeting:
    """A frame for the clients, from whom it doesn't come (`origin`)."""

    is_for_visitors: bool
    origin: bytes
    conversation_id: UUID | None
    frame: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """Who is there in a channel of sockets has changed."""

    channel: str


_events = msgspec.json.Decoder(list[Committed])


class Fanout:
    """Publishes to, and subscribes to, the channels of organizations."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    @property
    def is_listening(self) -> bool:
        """Whether messages can arrive now."""
        return self._valkey.is_listening

    def committed(self, org_id: OrgId, first_cursor: int, outbox: Outbox) -> None:
        """Publish what a transaction has committed; called after it has."""
        created_at = msgspec.json.encode(outbox.created_at)
        position = b"null" if outbox.position is None else b'"%b"' % str(outbox.position).encode()
        parts = [_travelling(event, created_at, position) for event in outbox.events]
        message = b"E%b[%b]" % (_cursor.pack(first_cursor), b",".join(parts))
        last_cursor = first_cursor + len(parts) - 1
        if len(message) > MAX_MESSAGE_BYTES:
            message = b"P" + _cursor.pack(last_cursor)
        elif len(message) <= MAX_REMEMBERED_BYTES:
            self._remember(org_id, last_cursor, message)
        self._publish(org_id, message)

    def fleeting(self, org_id: OrgId, message: Fleeting) -> None:
        """Publish a frame that nobody will miss when it gets lost."""
        audience = b"v" if message.is_for_visitors else b"m"
        conversation = message.conversation_id.bytes if message.conversation_id else _NO_CONVERSATION
        self._publish(org_id, b"X" + audience + message.origin + conversation + message.frame)

    def changed(self, org_id: OrgId, channel: str) -> None:
        """Publish that somebody has come into a channel of sockets, or gone from it."""
        self._publish(org_id, b"C" + channel.encode())

    async def history(self, org_id: OrgId, after: int) -> list[Events]:
        """Return the messages that Valkey remembers with events after a cursor; none when it is away."""
        key = _history(org_id)
        try:
            async with asyncio.timeout(HISTORY_SECONDS):
                found = await self._valkey.call("ZRANGE", key, f"({after}", "+inf", "BYSCORE")
            return [message for each in found if isinstance(message := parse(each), Events)]
        except (Unavailable, TimeoutError, ValueError) as error:
            log.warning("history_unreadable", organization_id=str(org_id), error=repr(error))
            return []

    async def subscribe(
        self, org_id: OrgId, receive: Callable[[bytes], None], on_gap: Callable[[], None]
    ) -> None:
        """Receive an organization's messages, from before this returns when Valkey is there."""
        await self._valkey.subscribe_sharded(_channel(org_id), receive, on_gap)

    def unsubscribe(self, org_id: OrgId) -> None:
        """Receive no more."""
        self._valkey.unsubscribe_sharded(_channel(org_id))

    def _remember(self, org_id: OrgId, last_cursor: int, message: bytes) -> None:
        """Keep a message for nodes that come to it later; leaves in one write with its publication."""
        key = _history(org_id)
        self._valkey.send("ZADD", key, last_cursor, message)
        self._valkey.send("ZREMRANGEBYRANK", key, 0, -1 - MAX_REMEMBERED)
        self._valkey.send("PEXPIRE", key, REMEMBERED_MS)

    def _publish(self, org_id: OrgId, message: bytes) -> None:
        if not self._valkey.publish_sharded(_channel(org_id), message):
            UNSENT.inc()


def parse(message: bytes) -> Events | Poke | Fleeting | Changed:
    """Read a message of a channel; raises ValueError when it is none."""
    kind, size = message[:1], len(message)
    try:
        if kind == b"E" and size > _EVENTS_AT:
            return Events(
                _cursor.unpack_from(message, 1)[0], _events.decode(memoryview(message)[_EVENTS_AT:])
            )
    except msgspec.DecodeError as error:
        raise ValueError("garbled events") from error
    if kind == b"P" and size == _EVENTS_AT:
        return Poke(_cursor.unpack_from(message, 1)[0])
    if kind == b"C":
        return Changed(message[1:].decode())
    if kind == b"X" and size >= _FRAME_AT:
        conversation = message[10:_FRAME_AT]
        return Fleeting(
            is_for_visitors=message[1:2] == b"v",
            origin=message[2:10],
            conversation_id=None if conversation == _NO_CONVERSATION else UUID(bytes=conversation),
            frame=message[_FRAME_AT:],
        )
    raise ValueError("not a message of this fan-out")


def _travelling(event: Pending, created_at: bytes, position: bytes) -> bytes:
    return b'{"id":"%b","type":"%b","created_at":%b,"position":%b,"key":%b,"payload":%b}' % (
        str(event.id).encode(),
        event.type.encode(),
        created_at,
        position,
        b"null" if event.key is None else b'"%b"' % str(event.key).encode(),
        b"{}" if event.type in INTERNAL_EVENTS else event.payload,
    )


def _history(org_id: OrgId) -> str:
    return f"dana:history:{{{_channel(org_id)}}}"  # on the server that owns the channel


def _channel(org_id: OrgId) -> str:
    return f"dana:org:{org_id.hex}"
