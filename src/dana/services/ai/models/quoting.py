"""Composing an answer of quotes: the sentence that answers, with the lines it needs to be understood."""

import re
from collections.abc import Sequence

from dana.contracts.queries import Quote
from dana.contracts.views import Citation

TEXT_LIMIT = 700
CITATIONS = 2
NEARLY_AS_GOOD = 0.92  # a second quote joins when it is about as near to the question as the first
SHORT_SENTENCE = 60  # characters; a shorter one rarely stands by itself

_LIST_LINE = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")  # noqa: RUF001 - the dash that lists are written with


def composed(quotes: Sequence[Quote], threshold: float) -> tuple[str, tuple[Citation, ...]]:
    """Return the text and its citations. Every line of the text stands in its passage, word for word."""
    best = quotes[0]
    chosen = [best]
    for quote in quotes[1:]:
        is_near = quote.confidence >= max(threshold, best.confidence * NEARLY_AS_GOOD)
        is_new = all(quote.sentence not in passage_part(other) for other in chosen)
        if is_near and is_new and len(chosen) < CITATIONS:
            chosen.append(quote)
    parts = [passage_part(quote) for quote in chosen]
    if sum(map(len, parts)) > TEXT_LIMIT:
        chosen, parts = chosen[:1], parts[:1]
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


def passage_part(quote: Quote) -> str:
    """Return the sentence with the lines around it that it can't be understood without."""
    passage, sentence = quote.hit.passage, quote.sentence
    start = passage.find(sentence)
    if start < 0:
        return sentence
    end = start + len(sentence)
    line_start = passage.rfind("\n", 0, start) + 1
    if _LIST_LINE.match(passage[line_start:end]):
        return _whole_list(passage, line_start) or sentence
    if sentence.rstrip().endswith(":"):
        return _with_list(passage, start, end)
    if len(sentence) < SHORT_SENTENCE:
        return _with_next(passage, start, end)
    return sentence


def _with_list(passage: str, start: int, end: int) -> str:
    """Add the list that a sentence announces."""
    rest = passage[end:].lstrip("\n").split("\n")
    lines = [line for line in rest if line.strip()]
    listed: list[str] = []
    for line in lines:
        if listed and not _LIST_LINE.match(line):
            break
        listed.append(line.rstrip())
    whole = "\n".join([passage[start:end].strip(), *listed])
    return whole if len(whole) <= TEXT_LIMIT else whole[: whole.rfind("\n", 0, TEXT_LIMIT)]


def _whole_list(passage: str, line_start: int) -> str | None:
    """Return the list a point belongs to, with the line that announces it."""
    lines = passage.split("\n")
    at = passage[:line_start].count("\n")
    first = last = at
    while first > 0 and _LIST_LINE.match(lines[first - 1]):
        first -= 1
    while last + 1 < len(lines) and _LIST_LINE.match(lines[last + 1]):
        last += 1
    before = first - 1
    while before >= 0 and not lines[before].strip():
        before -= 1
    if before >= 0 and lines[before].rstrip().endswith(":"):
        first = before
    whole = "\n".join(line.rstrip() for line in lines[first : last + 1] if line.strip())
    return whole if len(whole) <= TEXT_LIMIT else None


def _with_next(passage: str, start: int, end: int) -> str:
    """Add the sentence that follows a very short one in its line."""
    line_end = passage.find("\n", end)
    rest = passage[end : line_end if line_end >= 0 else len(passage)]
    following = re.match(r"\s*[^.!?]+[.!?]", rest)
    return passage[start : end + following.end()].strip() if following else passage[start:end]
