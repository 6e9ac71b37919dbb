"""The nouns of this service that its views don't show."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from dana.contracts.ids import ConversationId, InboxId, MessageId, OrgId, UserId
from dana.contracts.views import Author, ConversationView, Status
from dana.platform.identity import Actor


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A member, as conversations knows it: who may be assigned, and by what name."""

    id: UserId
    name: str
    is_active: bool


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many conversations stand where; `unread` are those with a message no agent has seen."""

    open: int = 0
    pending: int = 0
    snoozed: int = 0
    resolved: int = 0
    unread: int = 0


class WidgetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the widget shows before anybody has written."""

    name: str
    greeting: str
    is_assistant_enabled: bool


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which conversations a list shows; null leaves a condition out."""

    status: Status | None = None
    inbox_id: InboxId | None = None
    assignee_id: UserId | None = None


class Plain(NamedTuple):
    """A state in which a message changes nothing but the conversation's end, so it can be written at once."""

    statuses: tuple[Status, ...]
    is_assigned: bool
    has_unread: bool
    unread_more: int = 0


PLAIN_REPLY = Plain((Status.OPEN,), is_assigned=True, has_unread=False)
PLAIN_NOTE = Plain(tuple(Status), is_assigned=False, has_unread=False)
PLAIN_CUSTOMER = Plain((Status.OPEN,), is_assigned=False, has_unread=True, unread_more=1)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is about to be written."""

    id: MessageId
    author: Author
    who: Actor
    text: str
    is_private: bool
    key: str | None
    """The idempotency key: the same draft twice is one message."""


class Bookmark(NamedTuple):
    """Where a message stands among all of its organization; the larger, the newer."""

    cursor: int
    message_id: MessageId


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A message that may be what somebody looks for, and its conversation."""

    bookmark: Bookmark
    conversation: ConversationView
    seq: int
    author: Author
    author_name: str
    text: str
    is_private: bool
    created_at: datetime


class Found(NamedTuple):
    """A page of what was found."""

    hits: list[Candidate]
    next_page: Bookmark | None
    is_cut_short: bool
    """Whether the search ended before the page was full, without having looked at everything."""


class Unsearchable(NamedTuple):
    """A message that can't be found yet."""

    org_id: OrgId
    message_id: MessageId


class Due(NamedTuple):
    """A conversation the clock must wake: its sleep is over, or its question went unanswered."""

    org_id: OrgId
    conversation_id: ConversationId
