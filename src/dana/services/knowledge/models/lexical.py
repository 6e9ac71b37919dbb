"""BM25 over letter pieces and whole words: what stands in the postings, and how a question is asked of them.

A posting's weight is BM25's term-frequency factor, computed once when a passage is indexed:

    tf · (k1 + 1) / (tf + k1 · (1 - b + b · length / TYPICAL_LENGTH)),   scaled to 1…255

With a fixed typical length no weight changes when other documents come and go.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from dana.platform.folding import words
from dana.services.knowledge.models.grams import LONGEST_WORD, gram_numbers, number, pieces, word_set

K1 = 1.2
B = 0.75
TYPICAL_LENGTH = 600  # terms of a passage of about 700 characters
SCALE = 255 / (K1 + 1)
PLACE_BITS = 8
MOST_OCCURRENCES_READ = (
    60_000  # per question; the rarest terms come first, so only very common ones are left out
)

_STOP = word_set(
    """a about an and any are as at be been but by can could did do does for from had has have he her
    his how i if in into is it its me my not of on or our she should so than that the their them there
    these they this those to us was we were what when where which who whom whose why will with would you
    your"""
)


def terms(text: str) -> Counter[int]:
    """Count the terms of a text: the pieces of its words, and its words."""
    counted: Counter[int] = Counter()
    for word, times in Counter(words(text)).items():
        for term in _terms_of(word):
            counted[term] += times
    return counted


def asked_terms(question: str) -> dict[str, int]:
    """Return the distinct terms of a question, without the little words unless it has no others.

    Each is given as what to look for in a `readable` text, with its number in the postings.
    """
    said = words(question)
    meant = [word for word in said if word not in _STOP] or said
    asked: dict[str, int] = {}
    for word in meant:
        asked |= {piece: number(piece) for piece in pieces(word[:LONGEST_WORD])}
        asked[f"_{word}_"] = number(f"={word}")
    return asked


def readable(text: str) -> str:
    """Write the folded words of a text one after the other, so that a term is found by looking for it."""
    return f"_{'_'.join(words(text))}_"


def places(texts: Iterable[str], first_ordinal: int) -> tuple[list[int], list[int]]:
    """Return the terms of passages and, beside each, its place: ordinal and weight in one number."""
    grams: list[int] = []
    numbers: list[int] = []
    for ordinal, text in enumerate(texts, first_ordinal):
        counted = terms(text)
        length = sum(counted.values())
        for term, times in counted.items():
            grams.append(term)
            numbers.append(ordinal << PLACE_BITS | weight(times, length))
    return grams, numbers


def weight(times: int, length: int) -> int:
    """Return BM25's term-frequency factor, scaled to 1…255."""
    factor = times * (K1 + 1) / (times + K1 * (1 - B + B * length / TYPICAL_LENGTH))
    return max(1, min(255, round(factor * SCALE)))


def rarity(found: int, passages: int) -> float:
    """Return BM25's inverse document frequency of a term found in so many of the passages."""
    return math.log(1 + (passages - found + 0.5) / (found + 0.5))


def weighed(asked: Mapping[str, int], found: Mapping[int, int], passages: int) -> dict[str, float]:
    """Weigh the terms of a question by their rarity; one that is nowhere weighs most."""
    return {piece: rarity(found.get(term, 0), passages) for piece, term in asked.items()}


def worth_reading(found: Mapping[int, int], passages: int) -> dict[int, float]:
    """Keep the rarest terms that fit the budget of a question, with their weights."""
    kept: dict[int, float] = {}
    occurrences = 0
    for term in sorted(found, key=lambda term: found[term]):
        occurrences += found[term]
        if kept and occurrences > MOST_OCCURRENCES_READ:
            break
        kept[term] = rarity(found[term], passages)
    return kept


def coverage(weights: Mapping[str, float], text: str) -> float:
    """Return how much of a question's terms a text holds, from 0 to 1, the rare ones counting most."""
    total = sum(weights.values())
    return sum(held(weights, readable(text)).values()) / total if total else 0.0


def held(weights: Mapping[str, float], readable_text: str) -> dict[str, float]:
    """Keep the terms of a question that a readable text holds."""
    return {piece: weight for piece, weight in weights.items() if piece in readable_text}


def _terms_of(word: str) -> tuple[int, ...]:
    return (*gram_numbers(word), number(f"={word}"))
