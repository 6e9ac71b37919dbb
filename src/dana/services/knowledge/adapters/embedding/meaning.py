"""What the model is used for: vectors of passages, nearness of questions, and matching word by word."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dana.contracts.ids import DocumentId, OrgId
from dana.services.knowledge.adapters.embedding.corpus import Corpus, Near, Part, Rows, packed
from dana.services.knowledge.adapters.embedding.model import MiniLM, Vectors
from dana.services.knowledge.models.passages import Passage

QUESTION_THREADS = 2
CACHED_CORPUS_BYTES = 512 * 1024 * 1024
FEW_PASSAGES = 2_000
CACHED_QUESTIONS = 1_000  # the assistant asks the same question for quotes and for passages
CACHED_SENTENCES = 2_000  # about 25 kB each
FIRST_WORD_PIECE = 1_000  # BERT's vocabulary begins with marks and unused numbers, then goes by frequency


class Meaning:
    """The embedding model at work. Indexing has a thread of its own, so questions never wait behind it."""

    def __init__(self, model: MiniLM) -> None:
        self._model = model
        self._asking = ThreadPoolExecutor(QUESTION_THREADS, "meaning-ask")
        self._indexing = ThreadPoolExecutor(1, "meaning-index")
        self._corpora: OrderedDict[OrgId, Corpus] = OrderedDict()
        self._sentences: OrderedDict[str, Vectors] = OrderedDict()
        self._questions: dict[str, Vectors] = {}

    async def of_passages(self, title: str, passages: Sequence[Passage]) -> list[bytes]:
        """Return what is to be stored of each passage: its vector, and those of its sentences."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._indexing, self._embed_passages, title, passages)

    async def of_question(self, question: str) -> Vectors:
        """Return the vector of a question."""
        loop = asyncio.get_running_loop()
        known = self._questions.get(question)
        if known is not None:
            return known
        vectors: Vectors = await loop.run_in_executor(self._asking, self._model.embed, [question])
        vector: Vectors = vectors[0]
        if len(self._questions) >= CACHED_QUESTIONS:
            self._questions.clear()
        self._questions[question] = vector
        return vector

    async def match(self, question: str, sentences: Sequence[str]) -> list[float]:
        """Tell for each sentence how well the words of a question are met by its words (MaxSim)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._asking, self._match, question, sentences)

    def corpus_at(self, org_id: OrgId, version: int) -> Corpus | None:
        """Return the vectors of an organization if they are those of this version."""
        corpus = self._corpora.get(org_id)
        return corpus if corpus is not None and corpus.version == version else None

    def known_documents(self, org_id: OrgId) -> dict[DocumentId, int]:
        """Return whose vectors are in memory already, and of which version of the document."""
        corpus = self._corpora.get(org_id)
        return {document: part.version for document, part in corpus.parts.items()} if corpus else {}

    def remember(
        self, org_id: OrgId, version: int, documents: dict[DocumentId, int], new: dict[DocumentId, Rows]
    ) -> Corpus:
        """Make the vectors of a version out of those in memory and the new ones."""
        before = self._corpora.get(org_id)
        known = before.parts if before else {}
        kept = {document: known[document] for document in documents if document in known}
        added = {document: Part(rows, documents[document]) for document, rows in new.items()}
        corpus = Corpus(version, kept | added)
        if before is None or before.version <= version:  # an older snapshot never replaces a newer one
            self._corpora[org_id] = corpus
            self._corpora.move_to_end(org_id)
            while len(self._corpora) > 1 and self._size_bytes() > CACHED_CORPUS_BYTES:
                self._corpora.popitem(last=False)
        return corpus

    async def near(self, corpus: Corpus, question: Vectors) -> Near:
        """Compare a question with an organization's knowledge; what takes under a millisecond at once."""
        if len(corpus.keys) < FEW_PASSAGES:
            return corpus.near(question)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._asking, corpus.near, question)

    def close(self) -> None:
        """Let the threads end."""
        self._asking.shutdown(wait=False, cancel_futures=True)
        self._indexing.shutdown(wait=False, cancel_futures=True)

    def _size_bytes(self) -> int:
        return sum(corpus.size_bytes for corpus in self._corpora.values())

    def _embed_passages(self, title: str, passages: Sequence[Passage]) -> list[bytes]:
        texts: list[str] = []
        starts: list[int] = []
        for passage in passages:
            starts.append(len(texts))
            texts += [in_context(title, passage), *passage.sentences()]
        vectors = self._model.embed(texts)
        return [
            packed(vectors[start:end]) for start, end in zip(starts, [*starts[1:], len(texts)], strict=True)
        ]

    def _match(self, question: str, sentences: Sequence[str]) -> list[float]:
        pieces, vectors, _ = self._model.embed_tokens([question])
        weights = np.array([piece_weight(piece) for piece in pieces[0][1:-1]], dtype=np.float32)
        if not len(weights) or not sentences:
            return [0.0] * len(sentences)
        asked = vectors[0][1:-1]
        weights /= weights.sum()
        return [
            float(weights @ (asked @ of_sentence.astype(np.float32).T).max(axis=1))
            for of_sentence in self._tokens_of(sentences)
        ]

    def _tokens_of(self, sentences: Sequence[str]) -> list[Vectors]:
        cached = {sentence: self._sentences.pop(sentence, None) for sentence in sentences}
        missing = [sentence for sentence, vectors in cached.items() if vectors is None]
        if missing:
            _, vectors, _ = self._model.embed_tokens(missing)
            cached |= {s: v.astype(np.float16) for s, v in zip(missing, vectors, strict=True)}
        found = {sentence: vectors for sentence, vectors in cached.items() if vectors is not None}
        self._sentences.update(found)
        while len(self._sentences) > CACHED_SENTENCES:
            self._sentences.popitem(last=False)
        return [found[sentence] for sentence in sentences]


def in_context(title: str, passage: Passage) -> str:
    """Return a passage as the model reads it: under its title and heading."""
    return "\n".join(filter(None, (title, passage.heading, passage.text)))


def piece_weight(piece: int) -> float:
    """Weigh a piece of a word by its rarity in English, which its place in BERT's vocabulary tells."""
    return math.log(max(piece - FIRST_WORD_PIECE, 1) + 1)
