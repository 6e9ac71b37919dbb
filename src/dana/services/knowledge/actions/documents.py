"""What members do with documents."""

from dana.contracts.events import DocumentDeleted, DocumentQueued
from dana.contracts.ids import DocumentId, new_id
from dana.contracts.views import DocumentStatus, DocumentView
from dana.platform.database import Tx
from dana.platform.errors import Conflict, Invalid, Missing
from dana.services.knowledge import store
from dana.services.knowledge.models.documents import (
    KINDS,
    MAX_FILE_BYTES,
    clean_filename,
    kind_of,
    title_of,
)
from dana.services.knowledge.models.passages import Passage


async def upload(tx: Tx, filename: str, content: bytes) -> DocumentView:
    """Take a file in; it is parsed and indexed afterwards. Raises Invalid for what can't be read at all."""
    name = clean_filename(filename)
    kind = kind_of(name)
    if kind is None:
        readable = ", ".join(sorted(KINDS))
        raise Invalid(f"Files of this kind can't be read; send one of {readable}.", field="file")
    if len(content) > MAX_FILE_BYTES:
        raise Invalid(f"The file is larger than {MAX_FILE_BYTES // 2**20} MB; split it.", field="file")
    document = await store.insert_document(
        tx, DocumentId(new_id()), title=title_of(name), filename=name, kind=kind, content=content
    )
    tx.emit(DocumentQueued(document=document))
    return document


async def list_documents(tx: Tx, before: DocumentId | None, limit: int) -> list[DocumentView]:
    """List documents, newest first."""
    return await store.documents_before(tx, before, limit)


async def find_document(tx: Tx, document_id: DocumentId) -> DocumentView:
    """Return a document; raises Missing."""
    return _present(await store.document(tx, document_id))


async def list_passages(tx: Tx, document_id: DocumentId, after: int, limit: int) -> list[tuple[int, Passage]]:
    """Return the passages a document was cut into, from after an ordinal."""
    _present(await store.document(tx, document_id))
    return await store.passages_of(tx, document_id, after, limit)


async def retry(tx: Tx, document_id: DocumentId) -> DocumentView:
    """Try a failed document again; raises Conflict when it has not failed."""
    document = _present(await store.lock_document(tx, document_id))
    if document.status is not DocumentStatus.FAILED:
        raise Conflict(f"Only a failed document can be tried again; this one is {document.status.value}.")
    queued = await store.change_document(tx, document_id, DocumentStatus.QUEUED, 0.0)
    tx.emit(DocumentQueued(document=queued))
    return queued


async def delete(tx: Tx, document_id: DocumentId) -> None:
    """Delete a document; the very next search no longer finds it. Raises Missing."""
    document = _present(await store.lock_document(tx, document_id))
    await store.delete_document(tx, document_id)
    if document.status is DocumentStatus.SEARCHABLE:
        await store.count_corpus(tx, documents=-1, passages=-document.passages)
    tx.emit(DocumentDeleted(document_id=document_id))


def _present(document: DocumentView | None) -> DocumentView:
    if document is None:
        raise Missing("There is no such document; it may have been deleted.")
    return document
