"""What conversations publishes. Each event carries the conversation as it stands afterwards."""

from uuid import UUID

from dana.contracts.events.base import Event
from dana.contracts.ids import ConversationId, InboxId
from dana.contracts.views import ConversationView, InboxView, MessageView


class InboxCreated(Event):
    """An inbox was created."""

    inbox: InboxView


class InboxChanged(Event):
    """An inbox's settings changed."""

    inbox: InboxView


class ConversationEvent(Event):
    """A change of one conversation."""

    conversation: ConversationView

    def key(self) -> UUID:
        """Order by conversation."""
        return self.conversation.id


class ConversationStarted(ConversationEvent):
    """A customer began a conversation."""


class MessageAppended(ConversationEvent):
    """A message was written, by whomever."""

    message: MessageView


class ConversationTakenOver(ConversationEvent):
    """A person took the conversation over; the assistant is off duty from here on."""


class ConversationAssigned(ConversationEvent):
    """The conversation was assigned to a person, or to nobody."""


class ConversationHandedOver(ConversationEvent):
    """The assistant asked for a person."""

    reason: str


class ConversationResolved(ConversationEvent):
    """The conversation was resolved."""


class ConversationReopened(ConversationEvent):
    """The conversation was opened again, by an agent or by the customer writing."""


class ConversationSnoozed(ConversationEvent):
    """The conversation sleeps until a time."""


class ConversationRead(ConversationEvent):
    """An agent has seen the customer's messages."""


class AnswerRequested(Event):
    """The assistant is on duty and a customer has written.

    `turn` is the fence: it grows whenever the customer writes or a person acts, and an answer for
    an older turn is thrown away.
    """

    conversation_id: ConversationId
    inbox_id: InboxId
    turn: int
    question: str
    history: tuple[MessageView, ...]
    """The last messages before the question, oldest first, at most 20; private notes left out."""

    def key(self) -> UUID:
        """Order by conversation."""
        return self.conversation_id
