"""The way of a document from queued to searchable. Each step commits, is announced, and may be repeated."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dana.contracts.events import DocumentChanged
from dana.contracts.ids import DocumentId, OrgId
from dana.contracts.views import DocumentStatus, DocumentView
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from dana.services.knowledge import store
from dana.services.knowledge.adapters.parsing import parse
from dana.services.knowledge.models import lexical
from dana.services.knowledge.models.documents import UnreadableError, kind_of, may_become, title_of
from dana.services.knowledge.models.passages import Parsed, Passage, cut

if TYPE_CHECKING:
    from dana.services.knowledge.adapters.embedding.meaning import Meaning

PARSING_PROGRESS = 0.1
INDEXING_PROGRESS = 0.3
WRITING_PROGRESS = 0.95
EMBEDDED_AT_ONCE = 16  # passages
TOLD_EVERY_SECONDS = 1.0  # progress is an event for every member who looks
WENT_WRONG = "Something went wrong on our side. Try again; if it happens again, tell the operator."

log = structlog.get_logger(__name__)


class GoneError(Exception):
    """The document was deleted, or somebody else finished it, while it was worked on."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A document, read and cut."""

    title: str
    about: str
    """The title, and the file's name where that says something else."""
    summary: str
    passages: list[Passage]

    def postings(self) -> list[tuple[list[int], list[int]]]:
        """Return the terms and their places, part by part. Takes about a millisecond for each passage."""
        texts = [f"{self.about}\n{passage.heading}\n{passage.text}" for passage in self.passages]
        texts[0] = f"{self.summary}\n{texts[0]}"
        step = store.PART_PASSAGES
        return [lexical.places(texts[start : start + step], start) for start in range(0, len(texts), step)]


@dataclass(frozen=True, slots=True)
class Index:
    """What search needs of a document."""

    draft: _Draft
    vectors: list[bytes] | None
    postings: list[tuple[list[int], list[int]]]


Tell = Callable[[float], Awaitable[None]]
"""Is told the progress."""


class Indexer:
    """Makes documents searchable."""

    def __init__(self, shards: Shards, meaning: "Meaning | None") -> None:
        self._shards = shards
        self._meaning = meaning

    async def index(self, org_id: OrgId, document_id: DocumentId) -> None:
        """Parse, embed and index a document. What can't be read fails with its reason; bugs are raised."""

        async def tell(progress: float) -> None:
            await self._move(org_id, document_id, DocumentStatus.INDEXING, progress)

        try:
            document = await self._move(org_id, document_id, DocumentStatus.PARSING, PARSING_PROGRESS)
            draft = await self._read(org_id, document)
            await self._move(org_id, document_id, DocumentStatus.INDEXING, INDEXING_PROGRESS)
            await self._publish(org_id, document_id, await self._index(draft, tell))
        except UnreadableError as error:
            await self.fail(org_id, document_id, str(error))
        except GoneError:
            log.info("indexing_left", document=str(document_id))

    async def read_again(self, org_id: OrgId, document: DocumentView) -> Index:
        """Make a new index of a searchable document, and change nothing.

        Raises UnreadableError for what can't be read any more, GoneError when it was deleted.
        """
        return await self._index(await self._read(org_id, document), None)

    async def fail(self, org_id: OrgId, document_id: DocumentId, reason: str) -> None:
        """Let a document fail, visibly; does nothing when it is finished or gone."""
        async with self._shards.tx(org_id, SYSTEM) as tx:
            document = await store.lock_document(tx, document_id)
            if document and may_become(document.status, DocumentStatus.FAILED):
                failed = await store.change_document(
                    tx, document_id, DocumentStatus.FAILED, 0.0, error=reason
                )
                tx.emit(DocumentChanged(document=failed))

    async def _read(self, org_id: OrgId, document: DocumentView) -> _Draft:
        async with self._shards.read(org_id) as tx:
            content = await store.file_content(tx, document.id)
        kind = kind_of(document.filename)
        if content is None or kind is None:
            raise GoneError
        parsed = await parse(kind, content)
        title = _title(parsed, document.filename)
        passages = await asyncio.to_thread(cut, parsed.blocks, title)
        if not passages:
            raise UnreadableError("The file holds no text.")
        about = "\n".join(dict.fromkeys((title, title_of(document.filename))))
        return _Draft(title, about, parsed.summary, passages)

    async def _index(self, draft: _Draft, tell: Tell | None) -> Index:
        vectors = await self._vectors(draft, tell)
        return Index(draft, vectors, await asyncio.to_thread(draft.postings))

    async def _vectors(self, draft: _Draft, tell: Tell | None) -> list[bytes] | None:
        if self._meaning is None:
            return None
        vectors: list[bytes] = []
        told = 0.0
        many = len(draft.passages)
        for start in range(0, many, EMBEDDED_AT_ONCE):
            batch = draft.passages[start : start + EMBEDDED_AT_ONCE]
            vectors += await self._meaning.of_passages(draft.title, batch)
            if tell and len(vectors) < many and time.monotonic() - told > TOLD_EVERY_SECONDS:
                told = time.monotonic()
                await tell(INDEXING_PROGRESS + len(vectors) / many * (WRITING_PROGRESS - INDEXING_PROGRESS))
        return vectors

    async def _publish(self, org_id: OrgId, document_id: DocumentId, index: Index) -> None:
        """Write everything in one transaction: a document is searchable as a whole or not at all."""
        async with self._shards.tx(org_id, SYSTEM) as tx:
            await _still(tx, document_id, DocumentStatus.SEARCHABLE)
            searchable = await _write(tx, document_id, index)
            await store.count_corpus(tx, documents=1, passages=searchable.passages)
            tx.emit(DocumentChanged(document=searchable))

    async def _move(
        self, org_id: OrgId, document_id: DocumentId, status: DocumentStatus, progress: float
    ) -> DocumentView:
        async with self._shards.tx(org_id, SYSTEM) as tx:
            await _still(tx, document_id, status)
            document = await store.change_document(tx, document_id, status, progress)
            tx.emit(DocumentChanged(document=document))
        return document


async def replace(tx: Tx, document_id: DocumentId, index: Index) -> bool:
    """Put a new index in place of the old one, which is found until then; False when the document is gone."""
    document = await store.lock_document(tx, document_id)
    if document is None or document.status is not DocumentStatus.SEARCHABLE:
        return False
    await store.delete_index(tx, document_id)
    searchable = await _write(tx, document_id, index)
    await store.count_corpus(tx, documents=0, passages=searchable.passages - document.passages)
    tx.emit(DocumentChanged(document=searchable))
    return True


async def _write(tx: Tx, document_id: DocumentId, index: Index) -> DocumentView:
    await store.insert_passages(tx, document_id, index.draft.passages, index.vectors)
    for part, (grams, places) in enumerate(index.postings):
        await store.insert_postings(tx, document_id, part, grams, places)
    return await store.change_document(
        tx,
        document_id,
        DocumentStatus.SEARCHABLE,
        1.0,
        title=index.draft.title,
        passages=len(index.draft.passages),
    )


async def _still(tx: Tx, document_id: DocumentId, status: DocumentStatus) -> None:
    document = await store.lock_document(tx, document_id)
    if document is None or not may_become(document.status, status):
        raise GoneError


def _title(parsed: Parsed, filename: str) -> str:
    title = " ".join((parsed.title or "").split())
    return title[:200] if title else title_of(filename)
