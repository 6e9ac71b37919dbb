"""What is shown of a text that was found: a part of it, with the words marked that were asked for."""

from collections.abc import Iterator

import msgspec

from dana.platform.folding import fold, spans
from dana.services.conversations.models.finding import is_dense, is_found, terms

EXCERPT_CHARACTERS = 200
LEAD_CHARACTERS = 60  # what is shown before the first marked word


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a text; the parts in order are the text."""

    text: str
    is_match: bool = False


def excerpt(text: str, asked: list[str]) -> list[Piece]:
    """Return the neighbourhood of the first word that was asked for."""
    text = " ".join(text.split())
    first = next(_matches(text, asked, 0, len(text)), None)
    start = _word_start(text, first[0] - LEAD_CHARACTERS) if first else 0
    end = min(len(text), start + EXCERPT_CHARACTERS)
    pieces = _pieces(text, asked, start, end)
    before = [Piece(text="…")] if start else []
    after = [Piece(text="…")] if end < len(text) else []
    return [*before, *pieces, *after]


def marked(text: str, asked: list[str]) -> list[Piece]:
    """Return all of a short text, such as a name."""
    return _pieces(text, asked, 0, len(text))


def _pieces(text: str, asked: list[str], start: int, end: int) -> list[Piece]:
    pieces = []
    for begin, stop in _matches(text, asked, start, end):
        if begin > start:
            pieces.append(Piece(text=text[start:begin]))
        pieces.append(Piece(text=text[begin:stop], is_match=True))
        start = stop
    if end > start:
        pieces.append(Piece(text=text[start:end]))
    return pieces


def _matches(text: str, asked: list[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Find where words stand that were asked for; of a run without spaces only that part."""
    for begin, stop in spans(text, start, end):
        word = text[begin:stop]
        wanted = next((one for term in terms(word) for one in asked if is_found(one, term)), None)
        if wanted is None:
            continue
        folded = fold(word)
        if is_dense(wanted) and len(folded) == len(word):
            at = begin + folded.find(wanted)
            yield at, at + len(wanted)
        else:
            yield begin, stop


def _word_start(text: str, at: int) -> int:
    """Return the start of the first word from a place on; the place itself where no space comes soon."""
    if at <= 0:
        return 0
    space = text.find(" ", at, at + LEAD_CHARACTERS // 2)
    return space + 1 if space >= 0 else at
