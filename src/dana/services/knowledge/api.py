"""HTTP in: documents and the search test page."""

import time
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency, Provide
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body, FromPath, HeaderParameter, QueryParameter, SkipValidation

from dana.contracts.ids import DocumentId
from dana.contracts.queries import DEFAULT_THRESHOLD, Hit, Quote
from dana.contracts.views import DocumentView, LongJobView, Role
from dana.platform.errors import Invalid
from dana.platform.http import Page, decode_cursor, encode_cursor
from dana.platform.http.limited import limited
from dana.platform.identity import Member, require
from dana.platform.shards import Shards
from dana.services.knowledge.actions import documents
from dana.services.knowledge.actions.reindexing import request_reindexing
from dana.services.knowledge.actions.sample import add_sample
from dana.services.knowledge.actions.searching import LONGEST_QUESTION, MOST_HITS, Search

SignedIn = NamedDependency[SkipValidation[Member]]
Database = NamedDependency[SkipValidation[Shards]]
Searcher = NamedDependency[SkipValidation[Search]]
Id = FromPath[UUID]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Cursor = Annotated[str | None, QueryParameter(max_length=400)]
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]


class PassageView(msgspec.Struct, frozen=True, kw_only=True):
    """One passage of a document, as it is found and cited."""

    ordinal: int
    heading: str
    passage: str


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """One passage found; `quote` is its best sentence, where one stands out."""

    document_id: DocumentId
    title: str
    passage: str
    score: float
    quote: str | None


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the assistant would quote, and whether it would answer at all at the default threshold."""

    document_id: DocumentId
    title: str
    sentence: str
    confidence: float
    would_answer: bool


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and how."""

    items: list[SearchHit]
    answer: SearchAnswer | None
    took_ms: float
    methods: list[str]


class DocumentList(msgspec.Struct, frozen=True, kw_only=True):
    """Documents just taken in."""

    items: list[DocumentView]


class Upload(msgspec.Struct, kw_only=True):
    """A multipart form with one file."""

    file: UploadFile


@post("/documents", status_code=202, operation_id="upload_document", opt=limited("upload", cost=5))
async def upload_document(
    data: Annotated[Upload, Body(media_type=RequestEncodingType.MULTI_PART)],
    member: SignedIn,
    shards: Database,
) -> DocumentView:
    """Upload a file of at most 25 MB: Markdown, text, HTML, PDF, DOCX or CSV. Watch its `status`."""
    require(member, Role.ADMIN)
    content = await data.file.read()
    async with shards.tx(member.org_id, member.actor) as tx:
        return await documents.upload(tx, data.file.filename, content)


@get("/documents", operation_id="list_documents")
async def list_documents(
    member: SignedIn, shards: Database, cursor: Cursor = None, limit: Limit = 50
) -> Page[DocumentView]:
    """List documents, newest first."""
    before = _document_id(cursor)
    async with shards.read(member.org_id) as tx:
        found = await documents.list_documents(tx, before, limit + 1)
    next_cursor = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return Page(items=found[:limit], next_cursor=next_cursor)


@get("/documents/{document_id:uuid}", operation_id="get_document")
async def get_document(document_id: Id, member: SignedIn, shards: Database) -> DocumentView:
    """Read one document and how far it has come."""
    async with shards.read(member.org_id) as tx:
        return await documents.find_document(tx, DocumentId(document_id))


@get("/documents/{document_id:uuid}/passages", operation_id="list_passages")
async def list_passages(
    document_id: Id, member: SignedIn, shards: Database, cursor: Cursor = None, limit: Limit = 50
) -> Page[PassageView]:
    """List the passages a document was cut into, in reading order."""
    after = _ordinal(cursor)
    async with shards.read(member.org_id) as tx:
        found = await documents.list_passages(tx, DocumentId(document_id), after, limit + 1)
    items = [PassageView(ordinal=at, heading=p.heading, passage=p.text) for at, p in found[:limit]]
    return Page(items=items, next_cursor=encode_cursor(items[-1].ordinal) if len(found) > limit else None)


@post(
    "/documents/{document_id:uuid}/retry",
    status_code=202,
    operation_id="retry_document",
    opt=limited("upload", cost=5),
)
async def retry_document(document_id: Id, member: SignedIn, shards: Database) -> DocumentView:
    """Try a failed document again."""
    require(member, Role.ADMIN)
    async with shards.tx(member.org_id, member.actor) as tx:
        return await documents.retry(tx, DocumentId(document_id))


@delete("/documents/{document_id:uuid}", operation_id="delete_document")
async def delete_document(document_id: Id, member: SignedIn, shards: Database) -> None:
    """Delete a document; the next search no longer finds it."""
    require(member, Role.ADMIN)
    async with shards.tx(member.org_id, member.actor) as tx:
        await documents.delete(tx, DocumentId(document_id))


@post("/sample", status_code=202, operation_id="add_sample", opt=limited("upload", cost=20))
async def add_sample_documents(member: SignedIn, shards: Database) -> DocumentList:
    """Add the help centre of an imaginary shop, to try things out; articles already there stay."""
    require(member, Role.ADMIN)
    async with shards.tx(member.org_id, member.actor) as tx:
        return DocumentList(items=await add_sample(tx))


@post(
    "/reindex",
    status_code=202,
    operation_id="reindex_knowledge",
    opt=limited("bulk", cost=20),
    responses={
        200: ResponseSpec(
            data_container=LongJobView,
            description="Asked for before with the same Idempotency-Key",
            generate_examples=False,
        )
    },
)
async def reindex_knowledge(
    member: SignedIn, shards: Database, idempotency_key: IdempotencyKey = None
) -> Response[LongJobView]:
    """Index all documents anew; a long job. Each is found as before until its new index is in place."""
    require(member, Role.ADMIN)
    async with shards.tx(member.org_id, member.actor) as tx:
        job, is_repeat = await request_reindexing(tx, idempotency_key)
    return Response(job, status_code=200 if is_repeat else 202)


@get("/search", operation_id="search_knowledge", opt=limited("search", cost=5))
async def search_knowledge(
    member: SignedIn,
    searcher: Searcher,
    q: Annotated[str, QueryParameter(min_length=1, max_length=LONGEST_QUESTION)],
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_HITS)] = 5,
) -> SearchResult:
    """Ask the knowledge, by the same path as the assistant does."""
    started = time.perf_counter()
    hits, quotes = await searcher.search_and_quote(member.org_id, q, limit)
    return SearchResult(
        items=[_search_hit(hit, quotes) for hit in hits],
        answer=_answer(quotes[0]) if quotes else None,
        took_ms=round((time.perf_counter() - started) * 1000, 1),
        methods=searcher.methods,
    )


def router(shards: Shards, search: Search) -> Router:
    """Build the routes."""
    return Router(
        "/api/v1/knowledge",
        route_handlers=[
            upload_document,
            list_documents,
            get_document,
            list_passages,
            retry_document,
            delete_document,
            add_sample_documents,
            reindex_knowledge,
            search_knowledge,
        ],
        dependencies={
            "shards": Provide(lambda: shards, sync_to_thread=False),
            "searcher": Provide(lambda: search, sync_to_thread=False),
        },
        tags=["knowledge"],
    )


def _search_hit(hit: Hit, quotes: list[Quote]) -> SearchHit:
    quote = next((quote.sentence for quote in quotes if quote.hit == hit), None)
    return SearchHit(
        document_id=hit.document_id, title=hit.title, passage=hit.passage, score=hit.score, quote=quote
    )


def _answer(quote: Quote) -> SearchAnswer:
    return SearchAnswer(
        document_id=quote.hit.document_id,
        title=quote.hit.title,
        sentence=quote.sentence,
        confidence=quote.confidence,
        would_answer=quote.confidence >= DEFAULT_THRESHOLD,
    )


def _document_id(cursor: str | None) -> DocumentId | None:
    if cursor is None:
        return None
    try:
        return DocumentId(UUID(decode_cursor(cursor, 1)[0]))
    except ValueError:
        raise Invalid("This cursor is not valid here.") from None


def _ordinal(cursor: str | None) -> int:
    if cursor is None:
        return -1
    try:
        return min(int(decode_cursor(cursor, 1)[0]), 2**31 - 1)
    except ValueError:
        raise Invalid("This cursor is not valid here.") from None
