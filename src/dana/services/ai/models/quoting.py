"""Composing an answer of quotes: the sentence that answers, with what it needs to be understood.

A short passage is quoted whole: its sentences belong together. Of a long one the answer takes the sentence,
the list around it, or its neighbours.
"""

import math
import re
from collections.abc import Sequence

from dana.contracts.queries import Quote
from dana.contracts.views import Citation
from dana.services.ai.models.sentences import sentences

WHOLE_PASSAGE = 360  # characters; about what one reads in a chat bubble without scrolling
TEXT_LIMIT = 700
SHORT_SENTENCE = 60  # characters; a shorter one rarely stands by itself
MUCH_SURER = 1.0  # in the logarithm of the odds: nearly three times
ABOUT_AS_SURE = 1.0

_LIST_LINE = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")  # noqa: RUF001 - the dash that lists are written with
_TITLE = re.compile(r"(?:[^\W\d_][\w'’,()-]*\s+){2,}[\w'’()-]*\w\)?$")  # noqa: RUF001 - words, no code, no full stop
_DESCRIBES_ITSELF = re.compile(
    r"(?:learn (?:how|about|more)|(?:in )?this (?:page|guide|article|section|document)|"
    r"(?:please )?(?:refer to|see|read|check out) (?:the|our|this)|for more)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"(?:it|its|they|this|that|these|those|he|she|then|otherwise|also)\b", re.IGNORECASE
)


def composed(quotes: Sequence[Quote], threshold: float) -> tuple[str, tuple[Citation, ...]]:
    """Return the text and its citations. Every line of the text stands in its passage, word for word."""
    sure = [quote for quote in quotes if quote.confidence >= threshold] or list(quotes)
    first = _telling(sure)
    surest = max(sure, key=lambda quote: quote.confidence)
    if _log_odds(surest) > _log_odds(first) + MUCH_SURER and not _promises(surest):
        first = surest
    chosen, parts = [first], [_with_context(first)]
    second = _second(first, sure)
    if second is not None:
        part = _with_list(second) or second.sentence
        if len(parts[0]) + len(part) <= TEXT_LIMIT:
            chosen.append(second)
            parts.append(part)
    citations = tuple(
        Citation(
            document_id=quote.hit.document_id,
            title=quote.hit.title,
            passage=quote.hit.passage,
            quote=quote.sentence,
        )
        for quote in chosen
    )
    return "\n\n".join(parts), citations


def _second(first: Quote, quotes: Sequence[Quote]) -> Quote | None:
    """Return a quote of another passage that answers about as surely and stands by itself."""
    for quote in quotes:
        is_elsewhere = quote.hit.passage != first.hit.passage
        is_sure = _log_odds(quote) >= _log_odds(first) - ABOUT_AS_SURE
        stands_alone = not _POINTS_BACK.match(quote.sentence) and not _promises(quote)
        if is_elsewhere and is_sure and stands_alone:
            return quote
    return None


def _telling(quotes: Sequence[Quote]) -> Quote:
    """Return the first quote, or what answers in its stead where that one only promises an answer."""
    first = quotes[0]
    if not _promises(first):
        return first
    telling = [quote for quote in quotes if not _promises(quote)]
    as_sure = [quote for quote in telling if _log_odds(quote) >= _log_odds(first) - ABOUT_AS_SURE]
    beside = [quote for quote in telling if quote.hit.document_id == first.hit.document_id]
    in_its_stead = [quote for quote in beside if quote in as_sure]
    if _only_promises(first):
        in_its_stead = in_its_stead or beside or as_sure
    return in_its_stead[0] if in_its_stead else first


def _promises(quote: Quote) -> bool:
    """Tell a sentence that is like the question because it announces its answer, which stands elsewhere.

    Such are a heading, a page's description of itself, and a line that ends in a colon with nothing after it.
    """
    sentence = quote.sentence.strip()
    if sentence.endswith(":"):
        return quote.hit.passage.strip().endswith(sentence)
    return bool(_TITLE.match(sentence) or _DESCRIBES_ITSELF.match(sentence))


def _only_promises(quote: Quote) -> bool:
    """Tell whether nothing would be quoted beside the promise that could keep it."""
    if quote.sentence.strip().endswith(":"):
        return _promises(quote)
    told = sentences(quote.hit.passage) if len(quote.hit.passage) <= WHOLE_PASSAGE else []
    rest = [sentence for sentence in told if sentence != quote.sentence.strip()]
    return _promises(quote) and all(_TITLE.match(s) or _DESCRIBES_ITSELF.match(s) for s in rest)


def _log_odds(quote: Quote) -> float:
    """Undo the squeezing of a probability: 0.98 and 0.998 are far apart."""
    bounded = min(max(quote.confidence, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))


def _with_context(quote: Quote) -> str:
    passage = quote.hit.passage.strip()
    if quote.sentence in passage and len(passage) <= WHOLE_PASSAGE:
        return passage
    return _with_list(quote) or _with_neighbours(quote)


def _with_list(quote: Quote) -> str | None:
    """Return the list a sentence announces or belongs to; None if it does neither."""
    lines = [line.rstrip() for line in quote.hit.passage.split("\n") if line.strip()]
    at = next((n for n, line in enumerate(lines) if quote.sentence.split("\n")[0] in line), None)
    if at is None:
        return None
    first = at
    while first > 0 and _LIST_LINE.match(lines[first]):
        first -= 1
    is_announced = lines[first].endswith(":")
    if not is_announced and not _LIST_LINE.match(lines[at]):
        return None
    last = max(at, first)
    while last + 1 < len(lines) and _LIST_LINE.match(lines[last + 1]):
        last += 1
    if not is_announced and not _LIST_LINE.match(lines[first]):
        first += 1
    return _cut("\n".join(lines[first : last + 1])) if last > first else None


def _with_neighbours(quote: Quote) -> str:
    """Add the sentence before one that points back, and the one after a short one."""
    for line in quote.hit.passage.split("\n"):
        told = sentences(line)
        if quote.sentence in told:
            at = told.index(quote.sentence)
            first = at - 1 if at and _POINTS_BACK.match(quote.sentence) else at
            is_too_short = first == at and len(quote.sentence) < SHORT_SENTENCE
            last = at + 1 if is_too_short else at
            whole = line[line.index(told[first]) :]
            end = told[min(last, len(told) - 1)]
            return whole[: whole.index(end) + len(end)]
    return quote.sentence


def _cut(text: str) -> str:
    """Cut a long list after a line."""
    return text if len(text) <= TEXT_LIMIT else text[: text.rfind("\n", 0, TEXT_LIMIT)]
