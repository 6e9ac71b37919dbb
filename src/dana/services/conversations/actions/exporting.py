"""Exporting conversations, as a long job: their lines, in parts that stand beside them in the database."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from dana.contracts.events import ConversationsJobAdvanced
from dana.contracts.ids import ConversationId, LongJobId, OrgId
from dana.contracts.views import ConversationView, LongJobView, MessageView
from dana.platform import longjobs
from dana.platform.database import Tx
from dana.platform.errors import Missing
from dana.platform.longjobs import Advance, Kind, LongJob, Request, request
from dana.platform.shards import Shards
from dana.services.conversations import store
from dana.services.conversations.models import bulk, files, transfer
from dana.services.conversations.models.bulk import Choice, Export
from dana.services.conversations.models.files import ListedPart
from dana.services.conversations.models.transfer import Line

CONVERSATIONS_AT_ONCE = 100
MESSAGES_AT_ONCE = 1_000  # some 10 MB at the very most; usually a few hundred kilobytes
KEPT = timedelta(days=7)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the file of an export holds; each part is a run of lines with a checksum of its own."""

    format: str = "dana-conversations"
    format_version: int = 1
    organization_id: UUID
    job_id: UUID
    about: str
    created_at: datetime
    lines: int
    bytes: int
    parts: list[ListedPart]


async def request_export(tx: Tx, choice: Choice, key: str | None) -> tuple[LongJobView, bool]:
    """Ask for conversations as a file."""
    choice = bulk.checked_choice(choice, tx.now)
    inbox = await store.inbox(tx, choice.inbox_id) if choice.inbox_id else None
    about = bulk.about(choice, inbox.name if inbox else None)
    return await request(tx, ConversationsJobAdvanced, Request("export_conversations", about, choice, key))


async def find_manifest(tx: Tx, job_id: LongJobId) -> Manifest:
    """Describe the file of an export; raises Missing when there is none, or none any more."""
    job = await _exported(tx, job_id)
    parts = await store.described_parts(tx, job_id)
    return Manifest(
        organization_id=tx.org_id,
        job_id=job_id,
        about=job.about,
        created_at=job.created_at,
        lines=sum(part.lines for part in parts),
        bytes=sum(part.size_bytes for part in parts),
        parts=files.listed(parts),
    )


async def file_bytes(tx: Tx, job_id: LongJobId) -> int:
    """Say how large the packed file of an export is; raises Missing like `find_manifest`."""
    await _exported(tx, job_id)
    return sum(part.packed_bytes for part in await store.described_parts(tx, job_id))


async def file_content(shards: Shards, org_id: OrgId, job_id: LongJobId) -> AsyncIterator[bytes]:
    """Read the packed file of an export part by part; no transaction stays open while it travels."""
    number = 0
    while True:
        async with shards.read(org_id) as tx:
            part = await store.part(tx, job_id, number)
        if part is None:
            return
        yield part.content
        number += 1


async def _export_some(tx: Tx, job: LongJob, _: Any) -> Advance:
    choice = msgspec.convert(job.arguments, Choice)
    begun = msgspec.convert(job.resume or {}, Export)
    total = None
    if job.resume is None:
        total = await _all(tx)
    found = await store.conversations_from(tx, begun.after, CONVERSATIONS_AT_ONCE)
    if not found:
        return Advance(more=0, total=total, is_finished=True, file_expires_at=tx.now + KEPT)
    looked_at, lines, partial = await _lines(tx, choice, begun, found)
    if lines:
        part = files.packed(begun.parts, begun.lines + 1, len(lines), transfer.written(lines))
        await store.add_parts(tx, job.view.id, [part])
    resume = Export(
        after=found[looked_at - 1][0].id if looked_at else begun.after,
        partial=partial.conversation_id if partial else None,
        seq=partial.seq if partial else 0,
        parts=begun.parts + bool(lines),
        lines=begun.lines + len(lines),
    )
    return Advance(more=looked_at, total=total, resume=resume)


async def _lines(
    tx: Tx, choice: Choice, begun: Export, found: list[tuple[ConversationView, str]]
) -> tuple[int, list[Line], MessageView | None]:
    """Make the lines of as many conversations as fit; of one that is too long alone, the next piece.

    Returns how many were done, their lines, and the last message of an unfinished piece.
    """
    first, inbox = found[0]
    done = begun.seq if first.id == begun.partial else 0
    if (done or _is_chosen(choice, first)) and first.last_seq - done > MESSAGES_AT_ONCE:
        piece = await store.messages_after(tx, first.id, done, MESSAGES_AT_ONCE, is_public=False)
        return 0, _of_one(first, inbox, piece, done), piece[-1]
    fitting: list[tuple[ConversationView, str]] = []
    looked_at, messages = 0, -done
    for view, inbox_name in found:
        if (view is first and done) or _is_chosen(choice, view):
            messages += view.last_seq
            if messages > MESSAGES_AT_ONCE:
                break
            fitting.append((view, inbox_name))
        looked_at += 1
    said: dict[ConversationId, list[MessageView]] = {view.id: [] for view, _ in fitting}
    for message in await store.messages_of(tx, list(said)):
        said[message.conversation_id].append(message)
    lines: list[Line] = []
    for view, inbox_name in fitting:
        lines += _of_one(view, inbox_name, said[view.id], done if view is first else 0)
    return looked_at, lines, None


def _of_one(view: ConversationView, inbox: str, messages: list[MessageView], done: int) -> list[Line]:
    in_order = sorted((one for one in messages if one.seq > done), key=lambda message: message.seq)
    said: list[Line] = [transfer.message_line(message) for message in in_order]
    return said if done else [transfer.conversation_line(view, inbox), *said]


def _is_chosen(choice: Choice, view: ConversationView) -> bool:
    return (
        choice.status in (None, view.status)
        and choice.inbox_id in (None, view.inbox_id)
        and (choice.quiet_since is None or view.last_activity_at < choice.quiet_since)
    )


async def _all(tx: Tx) -> int:
    counts = await store.counts(tx)
    return counts.open + counts.pending + counts.snoozed + counts.resolved


async def _exported(tx: Tx, job_id: LongJobId) -> LongJobView:
    job = (await longjobs.find(tx, job_id)).view
    if job.kind != "export_conversations":
        raise Missing("This job makes no file.")
    if job.finished_at is None:
        raise Missing("The file is not finished yet.")
    if job.file_expires_at is None or job.file_expires_at <= tx.now:
        raise Missing("The file is not kept any more; start a new export.")
    return job


EXPORT = Kind("export_conversations", _export_some, tidy=store.delete_parts)
