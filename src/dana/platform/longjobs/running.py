"""Doing long jobs, chunk by chunk, in the bulk lane of the service that owns them."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from dana.contracts.events import LongJobAdvanced, event_type
from dana.contracts.ids import LongJobId, OrgId
from dana.contracts.views import LongJobView
from dana.platform.bus import Envelope, Lane, Worker
from dana.platform.database import Tx
from dana.platform.errors import Problem
from dana.platform.identity import SYSTEM, Actor
from dana.platform.longjobs import records
from dana.platform.longjobs.records import Advance, LongJob, Request
from dana.platform.shards import Shards

LAST_ATTEMPT = 6  # one chunk is tried so often, over about a minute; before the bus would lay the event aside
REST = 4.0  # times as long as a chunk took: a job takes a fifth of one connection, less when all is slow
LONGEST_REST_SECONDS = 1.0
TIDIED_AT_ONCE = 100

log = structlog.get_logger(__name__)


async def _nothing(org_id: OrgId, job: LongJob) -> None:
    """Prepare nothing."""


async def _leave(tx: Tx, job_id: LongJobId) -> None:
    """Leave nothing behind."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of job: what one chunk of it does.

    `chunk` runs in a transaction that lasts well under a second and also writes the progress. `prepare` runs
    before it, outside of any transaction, for what takes longer; it may run again, so it must change nothing.
    `tidy` deletes what a job has stored for itself, once nobody may fetch it any more.
    """

    name: str
    chunk: Callable[[Tx, LongJob, Any], Awaitable[Advance]]
    prepare: Callable[[OrgId, LongJob], Awaitable[Any]] = _nothing
    tidy: Callable[[Tx, LongJobId], Awaitable[None]] = _leave


class LongJobs:
    """The long jobs of one service."""

    def __init__(self, shards: Shards, event: type[LongJobAdvanced], kinds: list[Kind]) -> None:
        self._shards = shards
        self._event = event
        self._kinds = {kind.name: kind for kind in kinds}

    def worker(self) -> Worker:
        """Make the consumer that does the chunks."""
        return Worker(event=self._event, run=self._run, lane=Lane.BULK)

    async def tidy(self, shard: str) -> None:
        """Delete what ended jobs have left behind, and jobs that ended long ago."""
        for org_id, job_id in await records.to_tidy(
            self._shards, shard, event_type(self._event), TIDIED_AT_ONCE
        ):
            try:
                async with self._shards.tx(org_id, SYSTEM) as tx:
                    await self._tidy(tx, job_id)
            except Problem as problem:  # such as an organization that is being moved
                log.warning("long_job_not_tidied", job=str(job_id), error=str(problem))

    async def _tidy(self, tx: Tx, job_id: LongJobId) -> None:
        job = await records.lock(tx, job_id)
        if job is None or not job.is_over:
            return
        if kind := self._kinds.get(job.view.kind):
            await kind.tidy(tx, job_id)
        view = await records.tidied(tx, job)
        if view is not None and job.view.file_expires_at is not None:
            tx.emit(self._event(job=view))

    async def _run(self, envelope: Envelope, event: LongJobAdvanced) -> None:
        if event.job.state in records.ENDED:
            return
        try:
            await self._do_chunk(envelope.org_id, event.job)
        except Exception as error:
            if envelope.attempt < LAST_ATTEMPT:
                raise
            log.exception("long_job_failed", job=str(event.job.id), kind=event.job.kind)
            await self._fail(envelope.org_id, event.job, _in_words(error))

    async def _do_chunk(self, org_id: OrgId, seen: LongJobView) -> None:
        kind = self._kinds[seen.kind]
        began = time.monotonic()
        prepared = None
        if kind.prepare is not _nothing:
            async with self._shards.read(org_id) as tx:
                job = await records.look_up(tx, seen.id)
            if job is None or not _is_current(job, seen):
                return
            prepared = await kind.prepare(org_id, job)
        async with self._shards.tx(org_id, _requester(seen)) as tx:
            locked = await records.lock(tx, seen.id)
            if locked is None or not _is_current(locked, seen):
                return  # it was cancelled, or this chunk has been done already
            advance = await kind.chunk(tx, locked, prepared)
            view = await records.advance(tx, locked, advance)
            tx.emit(self._event(job=view), None if advance.is_finished else _after_a_rest(began))

    async def _fail(self, org_id: OrgId, seen: LongJobView, why: str) -> None:
        async with self._shards.tx(org_id, _requester(seen)) as tx:
            job = await records.lock(tx, seen.id)
            if job is not None and _is_current(job, seen):
                tx.emit(self._event(job=await records.fail(tx, job, why)))


async def request(tx: Tx, event: type[LongJobAdvanced], asked: Request) -> tuple[LongJobView, bool]:
    """Ask for a job; with a key that was used before, find that job, and say that it is a repeat.

    Raises Conflict when too many are active, or when the key belongs to another job.
    """
    job, is_repeat = await records.add(tx, event_type(event), asked)
    if not is_repeat:
        tx.emit(event(job=job.view))
    return job.view, is_repeat


def _after_a_rest(began: float) -> datetime:
    rest = min(LONGEST_REST_SECONDS, REST * (time.monotonic() - began))
    return datetime.now(UTC) + timedelta(seconds=rest)


def _is_current(job: LongJob, seen: LongJobView) -> bool:
    return job.view.version == seen.version and not job.is_over


def _requester(job: LongJobView) -> Actor:
    return Actor("user", job.requested_by, job.requested_by_name) if job.requested_by else SYSTEM


def _in_words(error: Exception) -> str:
    if isinstance(error, Problem):
        return error.detail
    return (
        "Something went wrong on our side, several times in a row. What was done until then stays done. "
        "Start it again to do the rest; if that fails too, tell the operator."
    )
