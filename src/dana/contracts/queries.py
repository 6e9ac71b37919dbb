"""Questions one service asks another, as protocols; the wiring binds them to who answers."""

from typing import Protocol

import msgspec

from dana.contracts.ids import DocumentId, OrgId

DEFAULT_THRESHOLD = 0.5
"""Confidence below which the assistant abstains, unless the organization sets its own; knowledge
calibrates `Quote.confidence` so that this is the best place to cut."""


class Hit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One passage found."""

    document_id: DocumentId
    title: str
    passage: str
    score: float
    """For ranking only; not comparable between questions."""


class Quote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sentence that answers a question best, and where it stands."""

    hit: Hit
    sentence: str
    confidence: float
    """From 0 to 1, comparable between questions: below the organization's threshold, abstain."""


class Knowledge(Protocol):
    """What the assistant asks of the organization's knowledge."""

    async def search(self, org_id: OrgId, question: str, limit: int) -> list[Hit]:
        """Find the best passages, best first."""
        ...

    async def quote(self, org_id: OrgId, question: str, limit: int) -> list[Quote]:
        """Find the sentences that answer best, best first; empty when nothing is near."""
        ...
