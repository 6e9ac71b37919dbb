"""Nouns as every service and every client sees them: what an API returns is what an event carries."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from dana.contracts.ids import (
    ContactId,
    ConversationId,
    DocumentId,
    InboxId,
    LongJobId,
    MessageId,
    UserId,
)


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A noun as others see it."""


class Role(StrEnum):
    """What a member may do: an owner everything, an admin all but the owner's, an agent the conversations."""

    OWNER = "owner"
    ADMIN = "admin"
    AGENT = "agent"


class PlatformRole(StrEnum):
    """What a person may do for the whole platform: support looks, an admin acts, a super-admin everything."""

    SUPPORT = "support"
    ADMIN = "admin"
    SUPER_ADMIN = "super_admin"


class Author(StrEnum):
    """Who wrote a message. `system` writes the activity lines ("Ana took over")."""

    CUSTOMER = "customer"
    AGENT = "agent"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class Status(StrEnum):
    """Where a conversation stands. While it is `pending` the assistant is on duty."""

    OPEN = "open"
    PENDING = "pending"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Action(StrEnum):
    """What the assistant decided to do with a customer's message."""

    REPLY = "reply"
    CLARIFY = "clarify"
    HAND_OVER = "hand_over"


class DocumentStatus(StrEnum):
    """The visible states of a document, in the order in which it passes them."""

    QUEUED = "queued"
    PARSING = "parsing"
    INDEXING = "indexing"
    SEARCHABLE = "searchable"
    FAILED = "failed"


class JobState(StrEnum):
    """Where a long job stands. The last three are the end."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Citation(View, frozen=True):
    """The passage an answer stands on, quoted word for word."""

    document_id: DocumentId
    title: str
    passage: str
    quote: str = ""
    """The sentence of the passage that the answer quotes."""


class MemberView(View, frozen=True):
    """A person in an organization."""

    user_id: UserId
    name: str
    email: str
    role: Role
    is_active: bool = True


class InboxView(View, frozen=True):
    """A place where conversations arrive."""

    id: InboxId
    name: str
    channel: str
    public_key: str
    greeting: str
    is_assistant_enabled: bool
    created_at: datetime


class ContactView(View, frozen=True):
    """A customer, or a visitor not yet known by name."""

    id: ContactId
    name: str
    email: str | None
    created_at: datetime


class MessageView(View, frozen=True):
    """One message. `seq` counts from 1 within its conversation, without a gap."""

    id: MessageId
    conversation_id: ConversationId
    seq: int
    author: Author
    author_id: UUID | None
    author_name: str
    text: str
    is_private: bool
    created_at: datetime
    action: Action | None = None
    citations: tuple[Citation, ...] = ()


class ConversationView(View, frozen=True):
    """One conversation, as a list shows it."""

    id: ConversationId
    inbox_id: InboxId
    contact: ContactView
    status: Status
    assignee_id: UserId | None
    assignee_name: str | None
    last_seq: int
    last_text: str
    last_author: Author | None
    unread_count: int
    """Messages of the customer that no agent has seen yet."""
    version: int
    """Grows with every change, so that a late copy never replaces a newer one."""
    snoozed_until: datetime | None
    last_activity_at: datetime
    created_at: datetime


class DocumentView(View, frozen=True):
    """One document of the knowledge and how far it has come."""

    id: DocumentId
    title: str
    filename: str
    media_type: str
    size_bytes: int
    status: DocumentStatus
    progress: float
    """From 0 to 1 within the whole way to searchable."""
    passages: int
    error: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class LongJobView(View, frozen=True):
    """Work that takes long: how far it has come, and who asked for it."""

    id: LongJobId
    kind: str
    about: str
    """What it works on, in words."""
    state: JobState
    done: int
    total: int | None
    """Null while it isn't known yet."""
    problems: int
    """How many lines or documents could not be dealt with; each has its number and its reason."""
    error: str | None
    requested_by: UserId | None
    requested_by_name: str
    version: int
    """Grows with every change, so that a late copy never replaces a newer one."""
    file_expires_at: datetime | None
    """Until when its file can be fetched; null where there is none."""
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
