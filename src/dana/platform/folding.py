r"""Words of any language, folded: what reads equal is equal, whatever its case, accents and width.

`\w` leaves out most vowel signs of the scripts of India, so combining marks are named beside it.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby


def fold(text: str) -> str:
    """Make equal what reads equal: case, accents, width."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text))).casefold()


def words(text: str) -> list[str]:
    """Return the folded words of a text, with their combining marks."""
    folded = fold(text)
    return _ASCII_WORD.findall(folded) if folded.isascii() else _WORD.findall(folded.replace("_", " "))


def spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Say where words begin and end in a part of a text, as it is written."""
    for found in _WORD.finditer(text.replace("_", " "), start, end):
        yield found.span()


def _marks() -> str:
    """Name all combining marks as ranges of a character class."""
    points = [p for p in range(0x300, 0x20000) if unicodedata.category(chr(p)).startswith("M")]
    runs = [list(run) for _, run in groupby(enumerate(points), key=lambda pair: pair[1] - pair[0])]
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)


_WORD = re.compile(rf"[^\W_][\w{_marks()}]*")
_ASCII_WORD = re.compile(r"[a-z0-9]+")  # several times faster, and most text is
_ACCENTS = re.compile(r"[\u0300-\u036f]")
