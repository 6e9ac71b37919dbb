"""Many conversations at once, as long jobs: deletion, export and import. An admin's role is needed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body, JSONBody
from litestar.response import Stream

from dana.contracts.ids import InboxId, LongJobId
from dana.contracts.views import LongJobView, Role
from dana.platform.http.limited import limited
from dana.platform.identity import require
from dana.services.conversations import actions
from dana.services.conversations.actions import Manifest
from dana.services.conversations.api.parameters import AtDesk, Id, IdempotencyKey
from dana.services.conversations.models.bulk import Choice

_REPEATED = {
    200: ResponseSpec(
        data_container=LongJobView,
        description="Asked for before with the same Idempotency-Key",
        generate_examples=False,
    )
}

_ASKING: dict[str, Any] = {"status_code": 202, "responses": _REPEATED, "opt": limited("bulk", cost=20)}
"""What all requests for a job have in common."""


class ImportUpload(msgspec.Struct, kw_only=True):
    """A multipart form with one file, and the inbox that its conversations go into."""

    file: UploadFile
    inbox_id: InboxId


@post("/deletions", operation_id="delete_conversations", **_ASKING)
async def delete_conversations(
    data: JSONBody[Choice], desk: AtDesk, idempotency_key: IdempotencyKey = None
) -> Response[LongJobView]:
    """Delete the conversations that have been quiet since a time, with all that was said in them."""
    require(desk.member, Role.ADMIN)
    async with desk.tx() as tx:
        asked = await actions.request_deletion(tx, data, idempotency_key)
    return _taken(*asked)


@post("/exports", operation_id="export_conversations", **_ASKING)
async def export_conversations(
    data: JSONBody[Choice], desk: AtDesk, idempotency_key: IdempotencyKey = None
) -> Response[LongJobView]:
    """Write conversations into a file of JSON lines, private notes included; it is kept for seven days."""
    require(desk.member, Role.ADMIN)
    async with desk.tx() as tx:
        asked = await actions.request_export(tx, data, idempotency_key)
    return _taken(*asked)


@get("/exports/{job_id:uuid}/file", operation_id="get_export_file", media_type="application/gzip")
async def get_export_file(job_id: Id, desk: AtDesk) -> Stream:
    """Fetch the file of an export: JSON lines, packed with gzip."""
    require(desk.member, Role.ADMIN)
    found = LongJobId(job_id)
    async with desk.read() as tx:
        size = await actions.file_bytes(tx, found)
        manifest = await actions.find_manifest(tx, found)

    async def content() -> AsyncIterator[bytes]:
        async for part in actions.file_content(desk.shards, desk.member.org_id, found):
            yield part

    name = f"conversations-{manifest.created_at:%Y-%m-%d}.jsonl.gz"
    return Stream(
        content(),
        media_type="application/gzip",
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "content-length": str(size),
            "cache-control": "private, no-store",
        },
    )


@get("/exports/{job_id:uuid}/manifest", operation_id="get_export_manifest")
async def get_export_manifest(job_id: Id, desk: AtDesk) -> Manifest:
    """Say what the unpacked file of an export holds, run by run with checksums."""
    require(desk.member, Role.ADMIN)
    async with desk.read() as tx:
        return await actions.find_manifest(tx, LongJobId(job_id))


@post("/imports", operation_id="import_conversations", **_ASKING)
async def import_conversations(
    data: Annotated[ImportUpload, Body(media_type=RequestEncodingType.MULTI_PART)],
    desk: AtDesk,
    idempotency_key: IdempotencyKey = None,
) -> Response[LongJobView]:
    """Take in a file of at most 25 MB as an export writes it, packed with gzip or not.

    What was imported into the inbox before is left as it is. Bad lines are listed as the job's problems.
    """
    require(desk.member, Role.ADMIN)
    cut = await asyncio.to_thread(actions.cut_file, await data.file.read())
    async with desk.tx() as tx:
        asked = await actions.request_import(tx, data.inbox_id, data.file.filename, cut, idempotency_key)
    return _taken(*asked)


def _taken(job: LongJobView, is_repeat: bool) -> Response[LongJobView]:
    return Response(job, status_code=200 if is_repeat else 202)


ROUTES = [
    delete_conversations,
    export_conversations,
    get_export_file,
    get_export_manifest,
    import_conversations,
]
