"""What the assistant publishes."""

from uuid import UUID

from dana.contracts.events.base import Event
from dana.contracts.ids import ConversationId, MessageId
from dana.contracts.views import Action, Citation


class AnswerProposed(Event, frozen=True):
    """The assistant has an answer; conversations appends it if its turn is still the current one."""

    conversation_id: ConversationId
    turn: int
    message_id: MessageId
    """The id the message will have, so that a streamed draft and its message are one."""
    action: Action
    text: str
    citations: tuple[Citation, ...]
    reason: str = ""
    """Why it hands over, in words for the agent."""
    author_name: str = "Assistant"
    """What the organization calls its assistant."""

    def key(self) -> UUID:
        """Order by conversation."""
        return self.conversation_id
