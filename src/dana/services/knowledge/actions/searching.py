"""Search and quote: the one path for the test page, the assistant and the evaluation.

question ─► vector (before the transaction)
         ─► one snapshot: BM25 and nearest vectors ─► fused ─► the best, reranked by their best sentence
         ─► quote: the best sentences of the best passages, matched word by word
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dana.contracts.ids import OrgId
from dana.contracts.queries import Hit, Quote
from dana.platform.database import Tx
from dana.platform.shards import Shards
from dana.services.knowledge import store
from dana.services.knowledge.models import lexical
from dana.services.knowledge.models.language import is_english
from dana.services.knowledge.models.passages import Passage
from dana.services.knowledge.models.quotable import penalty
from dana.services.knowledge.models.ranking import (
    SENTENCE_BONUS,
    Evidence,
    Found,
    Key,
    Nearness,
    Said,
    confidence,
    fused,
    worth_quoting,
)

if TYPE_CHECKING:
    from dana.services.knowledge.adapters.embedding.corpus import Corpus, Near
    from dana.services.knowledge.adapters.embedding.meaning import Meaning
    from dana.services.knowledge.adapters.embedding.model import Vectors

CANDIDATES = 60  # of each method
RERANKED = 10
QUOTED_PASSAGES = 5
MATCHED_SENTENCES = 8  # word-by-word matching costs milliseconds for each
LONGEST_QUESTION = 1_000  # characters; the rest adds cost, not meaning
MOST_HITS = 50


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, looked up."""

    found: list[Found]
    weights: dict[str, float]
    nearest: Nearness
    question: str


class Search:
    """Answers contracts.queries.Knowledge. Without a model, or for another language, words alone count."""

    def __init__(self, shards: Shards, meaning: "Meaning | None") -> None:
        self._shards = shards
        self._meaning = meaning

    @property
    def methods(self) -> list[str]:
        """Name the methods at work."""
        return ["bm25", "vectors"] if self._meaning else ["bm25"]

    async def search(self, org_id: OrgId, question: str, limit: int) -> list[Hit]:
        """Find the best passages, best first."""
        asked = await self._ask(org_id, question, limit)
        return [_hit(found) for found in asked.found[:limit]]

    async def quote(self, org_id: OrgId, question: str, limit: int) -> list[Quote]:
        """Find the sentences that answer best, best first; empty when nothing is near."""
        asked = await self._ask(org_id, question, QUOTED_PASSAGES)
        return await self._quote(asked, limit)

    async def search_and_quote(
        self, org_id: OrgId, question: str, limit: int
    ) -> tuple[list[Hit], list[Quote]]:
        """Do both with one look-up, for the test page."""
        asked = await self._ask(org_id, question, max(limit, QUOTED_PASSAGES))
        return [_hit(found) for found in asked.found[:limit]], await self._quote(asked, QUOTED_PASSAGES)

    async def _ask(self, org_id: OrgId, question: str, limit: int) -> _Asked:
        question = question.replace("\0", " ").strip()[:LONGEST_QUESTION]
        meaning = self._meaning if is_english(question) else None
        embedding = asyncio.ensure_future(meaning.of_question(question)) if meaning else None
        try:  # the vector is made while the database counts words
            return await self._look_up(org_id, question, limit, embedding)
        finally:
            if embedding:
                embedding.cancel()

    async def _look_up(
        self, org_id: OrgId, question: str, limit: int, embedding: "asyncio.Future[Vectors] | None"
    ) -> _Asked:
        asked = lexical.asked_terms(question)
        async with self._shards.read(org_id) as tx:
            version, passages = await store.corpus(tx)
            if not passages or not asked:
                return _Asked([], {}, Nearness(0.0, 0.0), question)
            counts = await store.count_terms(tx, list(asked.values()))
            weights = lexical.weighed(asked, counts, passages)
            scores = await store.best_by_terms(tx, lexical.worth_reading(counts, passages), CANDIDATES)
            near = await self._near(tx, version, embedding)
            best = _ranked(scores, near)[: max(RERANKED, limit)]
            texts = await store.passages_at(tx, [key for key, _, _ in best])
        found = [
            _found(key, score, nearness, texts[key], weights) for key, score, nearness in best if key in texts
        ]
        found.sort(key=lambda each: each.score, reverse=True)
        return _Asked(found, weights, near.nearest() if near else Nearness(0.0, 0.0), question)

    async def _near(self, tx: Tx, version: int, embedding: "asyncio.Future[Vectors] | None") -> "Near | None":
        if self._meaning is None or embedding is None:
            return None
        corpus = self._meaning.corpus_at(tx.org_id, version) or await _loaded(tx, self._meaning, version)
        return await self._meaning.near(corpus, await embedding)

    async def _quote(self, asked: _Asked, limit: int) -> list[Quote]:
        candidates = _likely_sentences(asked)
        if not candidates:
            return []
        matched: list[float | None] = [None] * len(candidates)
        if self._meaning and is_english(asked.question):
            sentences = [said.text for _, said in candidates]
            matched = list(await self._meaning.match(asked.question, sentences))
        quotes = [
            (
                worth_quoting(met, said, found.score),
                _quote(found, said, met, asked.nearest),
            )
            for (found, said), met in zip(candidates, matched, strict=True)
        ]
        quotes.sort(key=lambda pair: pair[0], reverse=True)
        return [quote for _, quote in quotes[:limit]]


async def _loaded(tx: Tx, meaning: "Meaning", version: int) -> "Corpus":
    """Bring the vectors in memory up to what this transaction sees."""
    documents = await store.searchable_documents(tx)
    known = meaning.known_documents(tx.org_id)
    missing = [document for document, edition in documents.items() if known.get(document) != edition]
    new = await store.vectors_of(tx, missing) if missing else {}
    return meaning.remember(tx.org_id, version, documents, new)


def _ranked(scores: dict[Key, float], near: "Near | None") -> list[tuple[Key, float, Nearness | None]]:
    keys = set(scores) | set(near.best(CANDIDATES) if near else [])
    top = max(scores.values(), default=0.0)
    ranked = []
    for key in keys:
        nearness = near.to(key) if near else None
        ranked.append((key, fused(scores.get(key, 0.0), top, nearness), nearness))
    return sorted(ranked, key=lambda each: (-each[1], each[0]))


def _found(
    key: Key, score: float, nearness: Nearness | None, text: tuple[str, Passage], weights: dict[str, float]
) -> Found:
    """Rerank a passage: a single sentence that covers the question speaks for it."""
    title, passage = text
    total = sum(weights.values()) or 1.0
    above = lexical.held(weights, lexical.readable(f"{title}\n{passage.heading}"))
    told = [(sentence, lexical.readable(sentence)) for sentence in passage.sentences()]
    inside = lexical.held(weights, "".join(readable for _, readable in told))
    sentences = [
        Said(
            text=sentence,
            covered=sum(own.values()) / total,
            covered_in_context=sum((above | own).values()) / total,
        )
        for sentence, readable in told
        for own in (lexical.held(inside, readable),)  # it can't hold what its passage doesn't
    ]
    best = max((said.covered for said in sentences), default=0.0)
    bonus = best + (nearness.sentence if nearness else 0.0)
    return Found(
        key=key,
        title=title,
        text=passage.text,
        sentences=sentences,
        score=score + SENTENCE_BONUS * bonus,
        covered=sum((above | inside).values()) / total,
    )


def _likely_sentences(asked: _Asked) -> list[tuple[Found, Said]]:
    """Choose the sentences that are worth matching word by word."""
    candidates = [(found, said) for found in asked.found[:QUOTED_PASSAGES] for said in found.sentences]
    candidates.sort(
        key=lambda each: worth_quoting(each[1].covered / 2, each[1], 2 * each[0].score), reverse=True
    )
    return candidates[:MATCHED_SENTENCES]


def _quote(found: Found, said: Said, matched: float | None, nearest: Nearness) -> Quote:
    evidence = Evidence(
        matched=matched,
        covered=found.covered,
        passage=nearest.passage,
        sentence=nearest.sentence,
        penalty=penalty(said.text),
    )
    return Quote(hit=_hit(found), sentence=said.text, confidence=round(confidence(evidence), 4))


def _hit(found: Found) -> Hit:
    return Hit(document_id=found.key[0], title=found.title, passage=found.text, score=round(found.score, 4))
