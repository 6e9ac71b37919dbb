"""Cut a document into passages: what is found, cited and shown.

A parser gives blocks (a paragraph, a list, a row of a table) under their headings. Short neighbours under the
same headings become one passage, a long block is cut between sentences.
"""

import msgspec

from dana.services.knowledge.models.sentences import sentences

SHORT = 400  # characters; blocks are joined while the whole stays this short
LONG = 2_000  # characters; longer blocks are cut: the embedding model reads 256 tokens


class Block(msgspec.Struct, frozen=True):
    """A piece of a document as its parser found it."""

    text: str
    headings: tuple[str, ...] = ()


class Parsed(msgspec.Struct, frozen=True):
    """What a parser made of a file."""

    blocks: list[Block]
    title: str | None = None
    summary: str = ""
    """What the document says of itself; it helps to find it, but answers nothing."""


class Passage(msgspec.Struct, frozen=True):
    """A passage and where its sentences begin and end."""

    text: str
    heading: str = ""
    spans: tuple[tuple[int, int], ...] = ()

    def sentences(self) -> list[str]:
        """Return the sentences."""
        return [self.text[start:end] for start, end in self.spans]


def cut(blocks: list[Block], title: str = "") -> list[Passage]:
    """Make passages of blocks, in order."""
    passages: list[Passage] = []
    for headings, text in _joined(blocks):
        heading = " › ".join(h for h in headings if h != title)
        passages.extend(Passage(part, heading, _spans(part)) for part in _cut_long(text))
    return passages


def _joined(blocks: list[Block]) -> list[tuple[tuple[str, ...], str]]:
    joined: list[tuple[tuple[str, ...], str]] = []
    for block in blocks:
        text = block.text.strip()
        if not text:
            continue
        if joined and joined[-1][0] == block.headings and len(joined[-1][1]) + len(text) < SHORT:
            joined[-1] = (block.headings, f"{joined[-1][1]}\n{text}")
        else:
            joined.append((block.headings, text))
    return joined


def _cut_long(text: str) -> list[str]:
    if len(text) <= LONG:
        return [text]
    whole = _spans(text)
    many = -(-len(text) // LONG)
    wanted = len(text) / many  # equal parts, so that no crumb is left over
    parts: list[str] = []
    start = whole[0][0]
    for (_, end), following in zip(whole, [*whole[1:], None], strict=True):
        if following is None or following[1] - start > LONG or end - start >= wanted:
            parts.append(text[start:end])
            start = following[0] if following else end
    return parts


def _spans(text: str) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    at = 0
    for sentence in sentences(text):
        start = text.index(sentence, at)
        at = start + len(sentence)
        spans.append((start, at))
    return tuple(spans)
