"""WordPiece, as BERT's uncased models expect it: words cut into the longest known pieces."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

LONGEST_WORD = 100  # longer runs of letters are noise; BERT reads them as unknown too

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPLIT = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+|[^\w\s]|_")
_CONTROL = re.compile(r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u200b-\u200f\ufeff]")


class WordPiece:
    """A vocabulary that turns text into numbers."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}
        self.start = self._numbers["[CLS]"]
        self.end = self._numbers["[SEP]"]
        self.unknown = self._numbers["[UNK]"]
        self.word = lru_cache(maxsize=50_000)(self._word)

    def encode(self, text: str, longest: int) -> list[int]:
        """Cut a text into at most `longest` numbers, start and end mark included."""
        numbers = [self.start]
        for word in words(text):
            numbers.extend(self.word(word))
            if len(numbers) >= longest:
                break
        return [*numbers[: longest - 1], self.end]

    def _word(self, word: str) -> tuple[int, ...]:
        if len(word) > LONGEST_WORD:
            return (self.unknown,)
        pieces: list[int] = []
        start = 0
        while start < len(word):
            piece, start = self._longest_piece(word, start)
            if piece is None:
                return (self.unknown,)
            pieces.append(piece)
        return tuple(pieces)

    def _longest_piece(self, word: str, start: int) -> tuple[int | None, int]:
        for end in range(len(word), start, -1):
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            number = self._numbers.get(piece)
            if number is not None:
                return number, end
        return None, len(word)


def words(text: str) -> list[str]:
    """Split into lower-case words without accents; punctuation and Chinese characters stand alone."""
    plain = unicodedata.normalize("NFD", _CONTROL.sub("", text).lower())
    return _SPLIT.findall("".join(c for c in plain if unicodedata.category(c) != "Mn"))
