"""Frames and who may see them. Pure: what comes from the log or the fan-out becomes bytes for sockets."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from dana.contracts.ids import ConversationId, UserId
from dana.platform.errors import Invalid
from dana.platform.fanout import INTERNAL_EVENTS, Committed
from dana.platform.identity import Member, Visitor

HEARTBEAT_SECONDS = 20

MAX_CURSOR = 2**62

VISITOR_EVENTS = frozenset(
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
"""What a visitor sees of his own conversation; the rest is the organization's business."""


class Close:
    """Why a socket ends, for its client to act on."""

    RESTART = 1012
    TRY_LATER = 1013
    BAD_FRAME = 4400
    TOKEN = 4401
    TOO_SLOW = 4408
    TOO_MANY = 4429


class RefusedError(Exception):
    """A socket that may not come in."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Socket(Protocol):
    """One connection, whatever library carries it."""

    def send(self, frame: bytes) -> None:
        """Queue a text frame; never blocks. A client that doesn't keep up is cut."""
        ...

    def close(self, code: int, reason: str) -> None:
        """End the connection with a reason; what is queued leaves first."""
        ...

    async def drained(self) -> None:
        """Return when the client has taken most of what was queued, or is gone."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether frames still leave."""
        ...


@dataclass(eq=False, slots=True)
class Client:
    """Somebody at a socket."""

    who: Member | Visitor
    socket: Socket
    origin: bytes
    typing_in: set[ConversationId] = field(default_factory=set)
    frames_this_second: int = 0
    second: int = 0

    @property
    def person(self) -> UUID:
        """The id of the member or contact."""
        return self.who.user_id if isinstance(self.who, Member) else self.who.contact_id

    def is_flooding(self, second: int, limit: int) -> bool:
        """Count a frame; true when there are too many in one second."""
        if second != self.second:
            self.second = second
            self.frames_this_second = 0
        self.frames_this_second += 1
        return self.frames_this_second > limit


class Typing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="typing"):
    """What a client may say: I am typing, or have stopped."""

    conversation_id: ConversationId
    is_typing: bool


class LoggedEvent:
    """One event on its way to sockets: each audience's frame is made once, when first needed."""

    __slots__ = ("_created_at", "_id", "_member", "_payload", "_visitor", "cursor", "key", "position", "type")

    def __init__(
        self,
        cursor: int,
        kind: str,
        key: UUID | None,
        *,
        event_id: bytes,
        created_at: bytes,
        payload: bytes,
        position: str | None = None,
    ) -> None:
        self.cursor = cursor
        self.type = kind
        self.key = key
        self.position = position
        self._id = event_id
        self._created_at = created_at
        self._payload = payload
        self._member: bytes | None = None
        self._visitor: bytes | None = None

    @classmethod
    def published(cls, cursor: int, event: Committed) -> "LoggedEvent":
        """Take one from the fan-out."""
        return cls(
            cursor,
            event.type,
            event.key,
            event_id=bytes(event.id),
            created_at=bytes(event.created_at),
            payload=bytes(event.payload),
            position=event.position,
        )

    @classmethod
    def stored(
        cls,
        cursor: int,
        kind: str,
        key: UUID | None,
        *,
        event_id: UUID,
        created_at: datetime,
        payload: str,
        position: str | None = None,
    ) -> "LoggedEvent":
        """Take one from the log."""
        encode = msgspec.json.encode
        return cls(
            cursor,
            kind,
            key,
            event_id=encode(event_id),
            created_at=encode(created_at),
            payload=payload.encode(),
            position=position,
        )

    @property
    def size_bytes(self) -> int:
        """About how much memory it holds."""
        return 3 * len(self._payload) + 300

    @property
    def for_members(self) -> bytes | None:
        """The frame for members; None when the event is none of theirs."""
        if self._member is None and self.type not in INTERNAL_EVENTS:
            self._member = self._frame(self._payload)
        return self._member

    @property
    def for_visitor(self) -> bytes | None:
        """The frame for the conversation's visitor; None when it is hidden from him."""
        if self._visitor is None and self.type in VISITOR_EVENTS:
            seen = _visible.decode(self._payload)
            if seen.message is msgspec.UNSET or not _privacy.decode(seen.message).is_private:
                self._visitor = self._frame(msgspec.json.encode(seen))
        return self._visitor

    def lost_access(self) -> UserId | None:
        """Return who may no longer see anything, if the event says so."""
        if self.type != "member_changed":
            return None
        member = _membership.decode(self._payload).member
        return None if member.is_active else member.user_id

    def _frame(self, payload: bytes) -> bytes:
        fields = payload.strip()[1:]
        comma = b"" if fields.lstrip() == b"}" else b","
        return b'{"type":"event","cursor":%d%b,"id":%b,"created_at":%b,"event":{"type":"%b"%b%b}' % (
            self.cursor,
            _at(self.position),
            self._id,
            self._created_at,
            self.type.encode(),
            comma,
            fields,
        )


class _VisitorConversation(msgspec.Struct, frozen=True):
    id: UUID
    status: str
    assignee_name: str | None
    version: int
    last_seq: int


class _Visible(msgspec.Struct, frozen=True):
    conversation: _VisitorConversation
    message: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Privacy(msgspec.Struct, frozen=True):
    is_private: bool


class _Person(msgspec.Struct, frozen=True):
    user_id: UserId
    is_active: bool


class _Membership(msgspec.Struct, frozen=True):
    member: _Person


_visible = msgspec.json.Decoder(_Visible)
_privacy = msgspec.json.Decoder(_Privacy)
_membership = msgspec.json.Decoder(_Membership)
_typing = msgspec.json.Decoder(Typing)


def hello(cursor: int) -> bytes:
    """Make the first frame: from which cursor the events follow."""
    return b'{"type":"hello","cursor":%d,"heartbeat_seconds":%d}' % (cursor, HEARTBEAT_SECONDS)


def heartbeat(cursor: int) -> bytes:
    """Say that all events up to a cursor have been sent."""
    return b'{"type":"heartbeat","cursor":%d}' % cursor


def resync(cursor: int, position: str | None) -> bytes:
    """Say that the client must fetch the state anew; events follow from this cursor."""
    return b'{"type":"resync","cursor":%d%b}' % (cursor, _at(position))


def _at(position: str | None) -> bytes:
    return b"" if position is None else b',"position":"%b"' % position.encode()


def parse_frame(frame: bytes) -> Typing:
    """Read what a client says; raises Invalid."""
    try:
        return _typing.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("This frame can't be read.") from error


def parse_cursor(text: str | None) -> int | None:
    """Read the cursor from which a client wants to continue; raises Invalid."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > MAX_CURSOR:
        raise Invalid("The cursor is not a number.")
    return int(text[:20])
