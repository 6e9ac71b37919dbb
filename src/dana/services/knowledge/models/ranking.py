"""Which passage comes first, and how sure we are that a sentence answers: two questions, two scores.

Ranking fuses words and meaning and is comparable within one question only. Confidence is comparable between
questions: a logistic model of how near the meaning is and how much of the question is covered, fitted once on
public questions whose article was, or wasn't, in the knowledge.
"""

import math

import msgspec

from dana.contracts.ids import DocumentId
from dana.services.knowledge.models.quotable import FRAGMENT_PENALTY, penalty

MEANING_SHARE = 0.75
LEXICAL_SHARE = 0.25  # a little less than alone, since the bonus counts words again
PENALTY_SHARE = 15.0  # code and pointers must be much nearer to be said; fragments need not
SENTENCE_BONUS = 0.2  # for a single sentence that covers the question

Key = tuple[DocumentId, int]
"""A passage: its document, and its ordinal in it."""


class Nearness(msgspec.Struct, frozen=True):
    """How near a passage is in meaning: the whole of it, and its nearest sentence. Cosines."""

    passage: float
    sentence: float


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence of a passage."""

    text: str
    covered: float
    """How much of the question it holds, from 0 to 1."""
    covered_in_context: float
    """The same, with the title and the heading it stands under."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A passage found, with all that speaks for it."""

    key: Key
    title: str
    text: str
    sentences: list[Said]
    score: float
    covered: float
    """How much of the question the passage holds, from 0 to 1."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for a sentence as the answer."""

    matched: float | None
    """How well each word of the question is met by some word of the sentence; None without a model."""
    covered: float
    passage: float
    """The nearest passage of all knowledge, as a cosine."""
    sentence: float
    """The nearest sentence of all knowledge, as a cosine."""
    penalty: float = 0.0
    """What speaks against the sentence itself."""


def fused(lexical: float, best_lexical: float, nearness: Nearness | None) -> float:
    """Fuse the scores of a passage; without meaning, words alone rank."""
    words = lexical / best_lexical if best_lexical else 0.0
    if nearness is None:
        return words
    meaning = 0.5 * nearness.passage + 0.5 * nearness.sentence
    return MEANING_SHARE * meaning + LEXICAL_SHARE * words


def worth_quoting(matched: float | None, said: Said, passage_score: float) -> float:
    """Score a sentence among those of one question."""
    covered = 0.25 * said.covered + 0.25 * said.covered_in_context
    return (matched or 0.0) + covered + 0.5 * passage_score - penalty(said.text)


def confidence(evidence: Evidence) -> float:
    """Return how sure we are, from 0 to 1; in the middle, being right and wrong are as likely."""
    if evidence.matched is None:
        logit = 7.0 * evidence.covered - 4.0
    else:
        logit = (
            16.1 * evidence.matched
            + 4.6 * evidence.covered
            + 4.7 * evidence.passage
            + 5.9 * evidence.sentence
            - 16.5
        )
    logit -= PENALTY_SHARE * max(0.0, evidence.penalty - FRAGMENT_PENALTY)
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
