"""A small knowledge for tests of the assistant: passages on a shelf, found by the words they share."""

import re
from dataclasses import dataclass, field
from uuid import UUID

from dana.contracts.ids import DocumentId, OrgId
from dana.contracts.queries import Hit, Quote

PASSAGES = {
    "Returns": "You can return any item within 30 days. Refunds are paid within 5 business days.",
    "Shipping": "We ship with DHL from Monday to Friday. Orders above 50 euros ship free of charge.",
    "Warranty": "Every bicycle has a warranty of 2 years. Write to service@shop.example to use it.",
}
_SMALL = "a an and any are by can do does for from how i in is it of the to what when with you"
SMALL_WORDS = frozenset(_SMALL.split())


@dataclass
class Shelf:
    """Answers the questions of the `Knowledge` protocol."""

    passages: dict[str, str] = field(default_factory=lambda: dict(PASSAGES))
    failures: int = 0
    """How many of the next questions fail."""

    async def search(self, org_id: OrgId, question: str, limit: int) -> list[Hit]:
        """Find passages."""
        return [quote.hit for quote in await self.quote(org_id, question, limit)]

    async def quote(self, org_id: OrgId, question: str, limit: int) -> list[Quote]:
        """Find sentences; the confidence is the part of the question's words that the passage shares."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("The shelf fell over.")
        asked = words(question)
        quotes = []
        for number, (title, passage) in enumerate(self.passages.items(), start=1):
            found = re.split(r"(?<=[.]) ", passage)
            sentence = max(found, key=lambda text: len(words(text) & asked))
            score = len(words(f"{title} {passage}") & asked) / max(1, len(asked))
            document_id = DocumentId(UUID(int=number))
            hit = Hit(document_id=document_id, title=title, passage=passage, score=score)
            quotes.append(Quote(hit=hit, sentence=sentence, confidence=score))
        near = [quote for quote in quotes if quote.confidence > 0]
        return sorted(near, key=lambda quote: -quote.confidence)[:limit]


def words(text: str) -> set[str]:
    """Return the words that tell a topic."""
    return {word.removesuffix("s") for word in re.findall(r"\w+", text.lower())} - SMALL_WORDS
