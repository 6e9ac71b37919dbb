"""Fan-out: what was committed, and what is fleeting, goes to every node with a socket of the organization.

One channel for each organization carries four sorts of messages, told apart by their first byte:

  E  events:    8 bytes first cursor, then a JSON array of the events
  P  a poke:    8 bytes newest cursor; the events were too big to carry, read them from the log
  X  fleeting:  1 byte audience, 8 bytes origin, 16 bytes conversation, then the frame for the clients
  C  changed:   the name of a channel of sockets in which somebody has come or gone; read again who is there

It may lose messages (Valkey dies, a buffer is full): readers know by the cursor, and read the log.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform.outbox import Outbox, Pending
from dana.platform.valkey import Valkey

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 256 * 1024

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
        if len(message) > MAX_MESSAGE_BYTES:
            message = b"P" + _cursor.pack(first_cursor + len(parts) - 1)
        self._publish(org_id, message)

    def fleeting(self, org_id: OrgId, message: Fleeting) -> None:
        """Publish a frame that nobody will miss when it gets lost."""
        audience = b"v" if message.is_for_visitors else b"m"
        conversation = message.conversation_id.bytes if message.conversation_id else _NO_CONVERSATION
        self._publish(org_id, b"X" + audience + message.origin + conversation + message.frame)

    def changed(self, org_id: OrgId, channel: str) -> None:
        """Publish that somebody has come into a channel of sockets, or gone from it."""
        self._publish(org_id, b"C" + channel.encode())

    async def subscribe(
        self, org_id: OrgId, receive: Callable[[bytes], None], on_gap: Callable[[], None]
    ) -> None:
        """Receive an organization's messages, from before this returns when Valkey is there."""
        await self._valkey.subscribe(_channel(org_id), receive, on_gap)

    def unsubscribe(self, org_id: OrgId) -> None:
        """Receive no more."""
        self._valkey.unsubscribe(_channel(org_id))

    def _publish(self, org_id: OrgId, message: bytes) -> None:
        if not self._valkey.send("PUBLISH", _channel(org_id), message):
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


def _channel(org_id: OrgId) -> str:
    return f"dana:org:{org_id.hex}"
