"""An answer: what the assistant decided to do with a question."""

import msgspec

from dana.contracts.views import Action, Citation

MODEL_SERVER = "openai"
QUOTES = "extractive"


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One decision with its words and what they stand on."""

    action: Action
    text: str
    citations: tuple[Citation, ...] = ()
    confidence: float = 0.0
    """How near the knowledge is to the question, from 0 to 1; 0 where it wasn't asked."""
    reason: str = ""
    """Why it hands over, in words for the agent."""
    made_by: str = QUOTES
    """Who found the words: quotes of the knowledge, or a model server."""
