"""Events: facts that services publish, one file per publisher. Past tense, frozen, unknown fields refused."""

from dana.contracts.events.ai import AnswerProposed
from dana.contracts.events.auth import MemberChanged, MemberJoined, OrganizationCreated
from dana.contracts.events.base import Event, event_type
from dana.contracts.events.conversations import (
    AnswerRequested,
    ConversationAssigned,
    ConversationHandedOver,
    ConversationRead,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationStarted,
    ConversationTakenOver,
    InboxChanged,
    InboxCreated,
    MessageAppended,
)
from dana.contracts.events.knowledge import DocumentChanged, DocumentDeleted, DocumentQueued

ALL_EVENTS: tuple[type[Event], ...] = (
    AnswerProposed,
    AnswerRequested,
    ConversationAssigned,
    ConversationHandedOver,
    ConversationRead,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationStarted,
    ConversationTakenOver,
    DocumentChanged,
    DocumentDeleted,
    DocumentQueued,
    InboxChanged,
    InboxCreated,
    MemberChanged,
    MemberJoined,
    MessageAppended,
    OrganizationCreated,
)

EVENTS_BY_TYPE: dict[str, type[Event]] = {event_type(event): event for event in ALL_EVENTS}

__all__ = [
    "ALL_EVENTS",
    "EVENTS_BY_TYPE",
    "AnswerProposed",
    "AnswerRequested",
    "ConversationAssigned",
    "ConversationHandedOver",
    "ConversationRead",
    "ConversationReopened",
    "ConversationResolved",
    "ConversationSnoozed",
    "ConversationStarted",
    "ConversationTakenOver",
    "DocumentChanged",
    "DocumentDeleted",
    "DocumentQueued",
    "Event",
    "InboxChanged",
    "InboxCreated",
    "MemberChanged",
    "MemberJoined",
    "MessageAppended",
    "OrganizationCreated",
    "event_type",
]
