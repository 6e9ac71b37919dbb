"""The terms of lexical search: pieces of four letters, which need no stemmer and suit nearly every language.

"Refunds" and "refunded" share `_ref refu efun fund`. Scripts that don't put spaces between words, and those
whose words are short, are cut into pieces of two.
"""

import re
from collections import Counter
from functools import lru_cache
from zlib import crc32

from dana.platform.folding import words

PIECE = 4
SHORT_PIECE = 2
LONGEST_WORD = 40  # longer runs are keys or noise; their beginning is enough


# Thai to Myanmar, Khmer, Devanagari to Malayalam, Hangul, kana and Chinese characters
_DENSE = re.compile(
    r"[\u0900-\u0d7f\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
    r"\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def word_set(text: str) -> frozenset[str]:
    """Make a set of words written one after the other."""
    return frozenset(text.split())


def grams(text: str) -> Counter[int]:
    """Count the terms of a text, each as a number."""
    counted: Counter[int] = Counter()
    for word in words(text):
        counted.update(gram_numbers(word))
    return counted


@lru_cache(maxsize=100_000)
def gram_numbers(word: str) -> tuple[int, ...]:
    """Return the terms of one folded word as signed 32-bit numbers."""
    return tuple(number(piece) for piece in pieces(word[:LONGEST_WORD]))


def pieces(word: str) -> list[str]:
    """Cut one folded word."""
    if _DENSE.search(word):
        return _cut(word, SHORT_PIECE)
    return _cut(f"_{word}_", PIECE)


def number(piece: str) -> int:
    """Turn a piece into a number that fits PostgreSQL's integer."""
    unsigned = crc32(piece.encode())
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def _cut(word: str, length: int) -> list[str]:
    if len(word) <= length:
        return [word]
    return [word[i : i + length] for i in range(len(word) - length + 1)]
