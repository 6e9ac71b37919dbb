"""Events on their way to sockets: which channels they belong to, and what each audience sees of them."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import msgspec

from dana.contracts.ids import UserId
from dana.contracts.views import Role
from dana.platform.fanout import INTERNAL_EVENTS, Committed
from dana.services.realtime.models.channels import SOMEBODYS, Channel
from dana.services.realtime.models.frames import at

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

REASSIGNMENTS = frozenset({"conversation_assigned", "conversation_taken_over"})
"""They don't say from whom a conversation is taken, so whoever follows their own notifications gets all."""


class LoggedEvent:
    """One event on its way to sockets: each audience's frame is made once, when first needed."""

    __slots__ = (
        "_channels",
        "_created_at",
        "_id",
        "_member",
        "_payload",
        "_visitor",
        "cursor",
        "key",
        "position",
        "type",
    )

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
        self._channels: tuple[Channel, ...] | None = None

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
    def id(self) -> str:
        """The event's id."""
        return self._id.decode().strip('"')

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

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels it belongs to, beside the organization's."""
        if self._channels is None:
            try:
                self._channels = tuple(self._about())
            except msgspec.ValidationError:  # of a version that isn't known here: for those who follow all
                self._channels = ()
        return self._channels

    def changed_member(self) -> "ChangedMember | None":
        """Return whose rights have changed, if the event says so."""
        if self.type != "member_changed":
            return None
        return _membership.decode(self._payload).member

    def _about(self) -> Iterator[Channel]:
        about = _about.decode(self._payload)
        if about.conversation is not None:
            yield Channel("conversation", about.conversation.id)
            yield Channel("inbox", about.conversation.inbox_id)
            if self.type in REASSIGNMENTS:
                yield SOMEBODYS
            elif about.conversation.assignee_id is not None:
                yield Channel("me", about.conversation.assignee_id)
        if about.inbox is not None:
            yield Channel("inbox", about.inbox.id)
        if about.member is not None:
            yield Channel("me", about.member.user_id)
        for deleted in about.conversation_ids:
            yield Channel("conversation", deleted)

    def _frame(self, payload: bytes) -> bytes:
        fields = payload.strip()[1:]
        comma = b"" if fields.lstrip() == b"}" else b","
        return b'{"type":"event","cursor":%d%b,"id":%b,"created_at":%b,"event":{"type":"%b"%b%b}' % (
            self.cursor,
            at(self.position),
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


class ChangedMember(msgspec.Struct, frozen=True):
    """What of a changed member says what they may see."""

    user_id: UserId
    name: str
    role: Role
    is_active: bool = True


class _Membership(msgspec.Struct, frozen=True):
    member: ChangedMember


class _Conversation(msgspec.Struct, frozen=True):
    id: UUID
    inbox_id: UUID
    assignee_id: UUID | None = None


class _Inbox(msgspec.Struct, frozen=True):
    id: UUID


class _Member(msgspec.Struct, frozen=True):
    user_id: UUID


class _About(msgspec.Struct, frozen=True):
    conversation: _Conversation | None = None
    inbox: _Inbox | None = None
    member: _Member | None = None
    conversation_ids: tuple[UUID, ...] = ()


_visible = msgspec.json.Decoder(_Visible)
_privacy = msgspec.json.Decoder(_Privacy)
_membership = msgspec.json.Decoder(_Membership)
_about = msgspec.json.Decoder(_About)
