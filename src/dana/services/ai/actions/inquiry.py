"""A customer's question with what surrounds it."""

from collections.abc import Sequence
from dataclasses import dataclass

from dana.contracts.ids import OrgId
from dana.contracts.views import Action, Author, MessageView
from dana.services.ai.models.assistant import Assistant
from dana.services.ai.models.intents import language_of
from dana.services.ai.models.wording import DEFAULT_LANGUAGE, HAND_OVER, LANGUAGE_NAMES, WORDINGS, Wording


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is to be answered, for whom and as whom."""

    org_id: OrgId
    assistant: Assistant
    question: str
    history: Sequence[MessageView] = ()

    @property
    def language(self) -> str:
        """The language of the assistant's own sentences."""
        chosen = (self.assistant.language or "").strip().lower().partition("-")[0]
        chosen = LANGUAGE_NAMES.get(chosen, chosen)
        return chosen if chosen in WORDINGS else language_of(self.question)

    @property
    def wording(self) -> Wording:
        """The assistant's own sentences."""
        return WORDINGS[self.language]

    @property
    def hand_over_text(self) -> str:
        """What to say when a person takes over: the organization's words, or the default, translated."""
        own = self.assistant.hand_over_text
        is_default = own == Assistant().hand_over_text
        return HAND_OVER.get(self.language, own) if is_default and self.language != DEFAULT_LANGUAGE else own

    @property
    def has_clarified(self) -> bool:
        """Whether it has asked back before: a customer is asked back at most once."""
        return any(message.action is Action.CLARIFY for message in self.history)

    @property
    def unclear_before(self) -> str:
        """The customer's words that it asked back about just now, if it did."""
        told = [message for message in self.history if message.author is not Author.SYSTEM]
        return self.question_before if told and told[-1].action is Action.CLARIFY else ""

    @property
    def question_before(self) -> str:
        """The customer's last words before the question."""
        words = [message.text for message in self.history if message.author is Author.CUSTOMER]
        return words[-1] if words else ""
