"""Events: facts that services publish, one file per publisher. Past tense, frozen, unknown fields refused."""

from dana.contracts.events.ai import AnswerProposed
from dana.contracts.events.auth import MemberChanged, MemberJoined, OrganizationCreated
from dana.contracts.events.base import Event, LongJobAdvanced, event_type
from dana.contracts.events.conversations import (
    AnswerRequested,
    ConversationAssigned,
    ConversationHandedOver,
    ConversationRead,
    ConversationReopened,
    ConversationResolved,
    ConversationsDeleted,
    ConversationsJobAdvanced,
    ConversationSnoozed,
    ConversationStarted,
    ConversationTakenOver,
    InboxChanged,
    InboxCreated,
    MessageAppended,
)
from dana.contracts.events.knowledge import (
    DocumentChanged,
    DocumentDeleted,
    DocumentQueued,
    KnowledgeJobAdvanced,
)

ALL_EVENTS: tuple[type[Event], ...] = (
    AnswerProposed,
    AnswerRequested,
    ConversationAssigned,
    ConversationHandedOver,
    ConversationRead,
    ConversationReopened,
    ConversationResolved,
    ConversationsDeleted,
    ConversationsJobAdvanced,
    ConversationSnoozed,
    ConversationStarted,
    ConversationTakenOver,
    DocumentChanged,
    DocumentDeleted,
    DocumentQueued,
    InboxChanged,
    InboxCreated,
    KnowledgeJobAdvanced,
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
    "ConversationsDeleted",
    "ConversationsJobAdvanced",
    "DocumentChanged",
    "DocumentDeleted",
    "DocumentQueued",
    "Event",
    "InboxChanged",
    "InboxCreated",
    "KnowledgeJobAdvanced",
    "LongJobAdvanced",
    "MemberChanged",
    "MemberJoined",
    "MessageAppended",
    "OrganizationCreated",
    "event_type",
]
