"""The vectors of one organization in memory, searched exactly: no index loses a row, and deleting is at once.

An instance never changes; a new version of the knowledge makes a new one, which takes over what still holds.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from dana.contracts.ids import DocumentId
from dana.services.knowledge.adapters.embedding.model import WIDTH, Vectors
from dana.services.knowledge.models.ranking import Key, Nearness

Rows = list[tuple[int, bytes]]
"""The ordinals of a document's passages, each with its stored vectors."""


class Part:
    """The vectors of one document, as of one version of it."""

    def __init__(self, rows: Rows, version: int) -> None:
        self.version = version
        stored = [np.frombuffer(content, dtype="<f2").reshape(-1, WIDTH) for _, content in rows]
        self.ordinals = [ordinal for ordinal, _ in rows]
        self.passages = _stacked([each[:1] for each in stored])
        # A passage without sentences of its own stands for itself, so that every passage has at least one.
        self.sentences = _stacked([each[1:] if len(each) > 1 else each for each in stored])
        self.counts = [max(len(each) - 1, 1) for each in stored]


class Corpus:
    """All vectors of an organization, as of one version of its knowledge."""

    def __init__(self, version: int, parts: Mapping[DocumentId, Part]) -> None:
        self.version = version
        self.parts = dict(parts)
        self.keys: list[Key] = [(document, at) for document, part in parts.items() for at in part.ordinals]
        self._place = {key: row for row, key in enumerate(self.keys)}
        self._passages = _stacked([part.passages for part in parts.values()])
        self._sentences = _stacked([part.sentences for part in parts.values()])
        counts = [count for part in parts.values() for count in part.counts]
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if counts else None

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, twice over: each part keeps its own rows for the next version."""
        return 2 * (self._passages.nbytes + self._sentences.nbytes)

    def near(self, question: Vectors) -> "Near":
        """Compare a question with everything."""
        if self._starts is None:
            return Near(self.keys, self._place, np.zeros(0, np.float32), np.zeros(0, np.float32))
        passages = self._passages @ question
        sentences = np.maximum.reduceat(self._sentences @ question, self._starts)
        return Near(self.keys, self._place, passages, sentences)


class Near:
    """How near a question is to every passage."""

    def __init__(
        self,
        keys: list[Key],
        place: Mapping[Key, int],
        passages: NDArray[np.float32],
        sentences: NDArray[np.float32],
    ) -> None:
        self._keys = keys
        self._place = place
        self._passages = passages
        self._sentences = sentences

    def to(self, key: Key) -> Nearness:
        """Return how near a passage is; one without vectors is not near."""
        row = self._place.get(key)
        if row is None:
            return Nearness(0.0, 0.0)
        return Nearness(float(self._passages[row]), float(self._sentences[row]))

    def best(self, limit: int) -> list[Key]:
        """Return the nearest passages, in no order."""
        both = self._passages + self._sentences
        if len(both) <= limit:
            return list(self._keys)
        return [self._keys[row] for row in np.argpartition(both, -limit)[-limit:]]

    def nearest(self) -> Nearness:
        """Return the nearest passage and the nearest sentence of all."""
        if not len(self._passages):
            return Nearness(0.0, 0.0)
        return Nearness(float(self._passages.max()), float(self._sentences.max()))


def packed(vectors: Vectors) -> bytes:
    """Make what is stored of the vectors of a passage and its sentences."""
    return vectors.astype("<f2").tobytes()


def _stacked(vectors: Iterable[NDArray[np.floating]]) -> Vectors:
    rows = [each for each in vectors if len(each)]
    if not rows:
        return np.zeros((0, WIDTH), dtype=np.float32)
    return np.concatenate(rows).astype(np.float32, copy=False)
