"""Sentences of a text, as slices of it, so that what is quoted stands in the source letter for letter."""

import re

_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[^a-z\s])|\n+")  # noqa: RUF001 - quotation marks as printed
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|approx|Mr|Mrs|Ms|Dr|No|St|Inc|Ltd|z\.B|bzw|ca)|\b[A-Z])\.$"
)
_WORD = re.compile(r"\w+")


def sentences(text: str) -> list[str]:
    """Split a text at the ends of its sentences and lines."""
    found: list[str] = []
    start = 0
    for end in _END.finditer(text):
        piece = text[start : end.end()].strip()
        if _ABBREVIATION.search(piece) and "\n" not in end.group():
            continue
        if piece:
            found.append(piece)
        start = end.end()
    last = text[start:].strip()
    return [*found, last] if last else found


def nearest_sentence(text: str, passage: str) -> str:
    """Return the sentence of a passage that shares most words with a text."""
    words = {word.lower() for word in _WORD.findall(text)}

    def likeness(sentence: str) -> float:
        own = {word.lower() for word in _WORD.findall(sentence)}
        return len(own & words) / (len(own) + 5)

    return max(sentences(passage) or [passage], key=likeness)
