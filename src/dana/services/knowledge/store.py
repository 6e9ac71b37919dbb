"""The only SQL of knowledge."""

from uuid import UUID

import asyncpg

from dana.contracts.ids import DocumentId
from dana.contracts.views import DocumentStatus, DocumentView
from dana.platform.database import Tx
from dana.services.knowledge.models.documents import MEDIA_TYPES, Kind
from dana.services.knowledge.models.passages import Passage
from dana.services.knowledge.models.ranking import Key

_AFTER_ALL = UUID(int=2**128 - 1)
_BEFORE_ALL = UUID(int=0)
PART_PASSAGES = 100  # passages whose postings are written by one statement

_VIEW = (
    "d.id, d.title, d.filename, d.kind, d.size_bytes, d.status, d.progress, d.passages, d.error, d.version, "
    "d.created_at, d.updated_at"
)


async def insert_document(
    tx: Tx, document_id: DocumentId, *, title: str, filename: str, kind: Kind, content: bytes
) -> DocumentView:
    """Store an uploaded file as a queued document."""
    row = await tx.fetchrow(
        "insert into knowledge.documents as d (id, title, filename, kind, size_bytes, status, created_at,"
        f" updated_at) values ($1, $2, $3, $4, $5, 'queued', $6, $6) returning {_VIEW}",
        document_id,
        title,
        filename,
        kind.value,
        len(content),
        tx.now,
    )
    await tx.execute("insert into knowledge.files (id, content) values ($1, $2)", document_id, content)
    return _view(row)


async def documents_before(tx: Tx, before: DocumentId | None, limit: int) -> list[DocumentView]:
    """Return documents, newest first, from after a given one."""
    rows = await tx.fetch(
        f"select {_VIEW} from knowledge.documents d where d.id < $1 order by d.id desc limit $2",
        before or _AFTER_ALL,
        limit,
    )
    return [_view(row) for row in rows]


async def document(tx: Tx, document_id: DocumentId) -> DocumentView | None:
    """Return a document."""
    row = await tx.fetchrow(f"select {_VIEW} from knowledge.documents d where d.id = $1", document_id)
    return _view(row) if row else None


async def documents_named(tx: Tx, filenames: list[str]) -> dict[str, DocumentView]:
    """Return documents by their file names."""
    rows = await tx.fetch(
        f"select {_VIEW} from knowledge.documents d where d.filename = any ($1::text[]) order by d.id",
        filenames,
    )
    return {row["filename"]: _view(row) for row in rows}


async def lock_document(tx: Tx, document_id: DocumentId) -> DocumentView | None:
    """Return a document, and keep others from changing it until the transaction ends."""
    row = await tx.fetchrow(
        f"select {_VIEW} from knowledge.documents d where d.id = $1 for update", document_id
    )
    return _view(row) if row else None


async def change_document(
    tx: Tx,
    document_id: DocumentId,
    status: DocumentStatus,
    progress: float,
    *,
    error: str | None = None,
    title: str | None = None,
    passages: int | None = None,
) -> DocumentView:
    """Move a document on; its version grows."""
    row = await tx.fetchrow(
        "update knowledge.documents d set status = $2, progress = $3, error = $4,"
        " title = coalesce($5, title), passages = coalesce($6, passages), version = version + 1,"
        f" updated_at = $7 where d.id = $1 returning {_VIEW}",
        document_id,
        status.value,
        progress,
        error,
        title,
        passages,
        tx.now,
    )
    return _view(row)


async def delete_document(tx: Tx, document_id: DocumentId) -> None:
    """Delete a document with its file, passages and postings."""
    await tx.execute("delete from knowledge.documents where id = $1", document_id)


async def file_content(tx: Tx, document_id: DocumentId) -> bytes | None:
    """Return the uploaded bytes."""
    content: bytes | None = await tx.fetchval(
        "select content from knowledge.files where id = $1", document_id
    )
    return content


async def insert_passages(
    tx: Tx, document_id: DocumentId, passages: list[Passage], vectors: list[bytes] | None
) -> None:
    """Store the passages of a document."""
    await tx.executemany(
        "insert into knowledge.passages (document_id, ordinal, heading, text, spans, vectors)"
        " values ($1, $2, $3, $4, $5, $6)",
        [
            (
                document_id,
                ordinal,
                passage.heading,
                passage.text,
                [at for span in passage.spans for at in span],
                vectors[ordinal] if vectors else None,
            )
            for ordinal, passage in enumerate(passages)
        ],
    )


async def insert_postings(
    tx: Tx, document_id: DocumentId, part: int, grams: list[int], places: list[int]
) -> None:
    """Store one part of a document's postings."""
    await tx.execute(
        "insert into knowledge.postings (gram, document_id, part, found, places)"
        " select gram, $1, $2, count(*), array_agg(place)"
        " from unnest($3::int[], $4::int[]) as t (gram, place) group by gram",
        document_id,
        part,
        grams,
        places,
    )


async def count_corpus(tx: Tx, documents: int, passages: int) -> None:
    """Add to the organization's counters, and say by a new version that its knowledge has changed."""
    await tx.execute(
        "insert into knowledge.corpora as c (version, documents, passages) values (1, $1, $2)"
        " on conflict (org_id) do update set version = c.version + 1, documents = c.documents + $1,"
        " passages = c.passages + $2",
        documents,
        passages,
    )


async def corpus(tx: Tx) -> tuple[int, int]:
    """Return the version of the organization's knowledge, and how many passages it has."""
    row = await tx.fetchrow("select version, passages from knowledge.corpora")
    return (row["version"], row["passages"]) if row else (0, 0)


async def count_documents(tx: Tx) -> int:
    """Return how many searchable documents the organization has."""
    return int(await tx.fetchval("select documents from knowledge.corpora") or 0)


async def count_terms(tx: Tx, grams: list[int]) -> dict[int, int]:
    """Return in how many passages each term stands; terms that are nowhere are left out."""
    rows = await tx.fetch(
        "select gram, sum(found)::bigint as found from knowledge.postings where gram = any ($1::int[])"
        " group by gram",
        grams,
    )
    return {row["gram"]: row["found"] for row in rows}


async def best_by_terms(tx: Tx, weights: dict[int, float], limit: int) -> dict[Key, float]:
    """Return the passages with the best BM25 scores."""
    rows = await tx.fetch(
        "select p.document_id, place >> 8 as ordinal, sum(asked.weight * (place & 255)) as score"
        " from unnest($1::int[], $2::float4[]) as asked (gram, weight)"
        " join knowledge.postings p on p.gram = asked.gram, unnest(p.places) as place"
        " group by 1, 2 order by 3 desc limit $3",
        list(weights),
        list(weights.values()),
        limit,
    )
    return {(row["document_id"], row["ordinal"]): row["score"] for row in rows}


async def searchable_documents(tx: Tx) -> dict[DocumentId, int]:
    """Return the ids of all searchable documents, with their versions."""
    rows = await tx.fetch("select id, version from knowledge.documents where status = 'searchable'")
    return {row["id"]: row["version"] for row in rows}


async def searchable_after(tx: Tx, after: DocumentId | None) -> DocumentView | None:
    """Return the next searchable document in the order of their ids."""
    row = await tx.fetchrow(
        f"select {_VIEW} from knowledge.documents d"
        " where d.id > $1 and d.status = 'searchable' order by d.id limit 1",
        after or _BEFORE_ALL,
    )
    return _view(row) if row else None


async def delete_index(tx: Tx, document_id: DocumentId) -> None:
    """Delete the passages and postings of a document that gets new ones."""
    await tx.execute("delete from knowledge.postings where document_id = $1", document_id)
    await tx.execute("delete from knowledge.passages where document_id = $1", document_id)


async def vectors_of(tx: Tx, documents: list[DocumentId]) -> dict[DocumentId, list[tuple[int, bytes]]]:
    """Return the vectors of each document's passages, by ordinal; those indexed without a model have none."""
    rows = await tx.fetch(
        "select document_id, ordinal, vectors from knowledge.passages"
        " where document_id = any ($1::uuid[]) and vectors is not null order by document_id, ordinal",
        documents,
    )
    vectors: dict[DocumentId, list[tuple[int, bytes]]] = {document_id: [] for document_id in documents}
    for row in rows:
        vectors[row["document_id"]].append((row["ordinal"], row["vectors"]))
    return vectors


async def passages_at(tx: Tx, keys: list[Key]) -> dict[Key, tuple[str, Passage]]:
    """Return passages with the titles of their documents."""
    rows = await tx.fetch(
        "select p.document_id, p.ordinal, d.title, p.heading, p.text, p.spans"
        " from unnest($1::uuid[], $2::int[]) as wanted (document_id, ordinal)"
        " join knowledge.passages p using (document_id, ordinal)"
        " join knowledge.documents d on d.org_id = p.org_id and d.id = p.document_id",
        [document_id for document_id, _ in keys],
        [ordinal for _, ordinal in keys],
    )
    return {(row["document_id"], row["ordinal"]): (row["title"], _passage(row)) for row in rows}


async def passages_of(tx: Tx, document_id: DocumentId, after: int, limit: int) -> list[tuple[int, Passage]]:
    """Return the passages of a document in order, from after an ordinal."""
    rows = await tx.fetch(
        "select ordinal, heading, text, spans from knowledge.passages"
        " where document_id = $1 and ordinal > $2 order by ordinal limit $3",
        document_id,
        after,
        limit,
    )
    return [(row["ordinal"], _passage(row)) for row in rows]


def _passage(row: asyncpg.Record) -> Passage:
    spans = row["spans"]
    return Passage(row["text"], row["heading"], tuple(zip(spans[::2], spans[1::2], strict=True)))


def _view(row: asyncpg.Record | None) -> DocumentView:
    if row is None:
        raise LookupError("the document is gone")
    fields = dict(row)
    media_type = MEDIA_TYPES[Kind(fields.pop("kind"))]
    return DocumentView(**{**fields, "status": DocumentStatus(row["status"]), "media_type": media_type})
