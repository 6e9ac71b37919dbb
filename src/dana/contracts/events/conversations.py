"""What conversations publishes. Each event carries the conversation as it stands afterwards."""

from uuid import UUID

from dana.contracts.events.base import Event, LongJobAdvanced
from dana.contracts.ids import ConversationId, InboxId
from dana.contracts.views import ConversationView, InboxView, MessageView


class InboxCreated(Event, frozen=True):
    """An inbox was created."""

    inbox: InboxView


class InboxChanged(Event, frozen=True):
    """An inbox's settings changed."""

    inbox: InboxView


class ConversationEvent(Event, frozen=True):
    """A change of one conversation."""

    conversation: ConversationView

    def key(self) -> UUID:
        """Order by conversation."""
        return self.conversation.id


class ConversationStarted(ConversationEvent, frozen=True):
    """A customer began a conversation."""


class MessageAppended(ConversationEvent, frozen=True):
    """A message was written, by whomever."""

    message: MessageView


class ConversationTakenOver(ConversationEvent, frozen=True):
    """A person took the conversation over; the assistant is off duty from here on."""


class ConversationAssigned(ConversationEvent, frozen=True):
    """The conversation was assigned to a person, or to nobody."""


class ConversationHandedOver(ConversationEvent, frozen=True):
    """The assistant asked for a person."""

    reason: str


class ConversationResolved(ConversationEvent, frozen=True):
    """The conversation was resolved."""


class ConversationReopened(ConversationEvent, frozen=True):
    """The conversation was opened again, by an agent or by the customer writing."""


class ConversationSnoozed(ConversationEvent, frozen=True):
    """The conversation sleeps until a time."""


class ConversationRead(ConversationEvent, frozen=True):
    """An agent has seen the customer's messages."""


class AnswerRequested(Event, frozen=True):
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


class ConversationsDeleted(Event, frozen=True):
    """Conversations were deleted with all that was said in them; no list and no search finds them."""

    conversation_ids: tuple[ConversationId, ...]


class ConversationsJobAdvanced(LongJobAdvanced, frozen=True):
    """A long job on conversations has come further."""
