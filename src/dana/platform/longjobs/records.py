"""The rows of long jobs. Row-level security adds the organization to every statement."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from dana.contracts.events import EVENTS_BY_TYPE, LongJobAdvanced
from dana.contracts.ids import LongJobId, OrgId, new_id
from dana.contracts.views import JobState, LongJobView, View
from dana.platform.database import Tx, outages_are_problems
from dana.platform.errors import Conflict, Invalid, Missing
from dana.platform.shards import Shards

MOST_ACTIVE = 20  # of one organization; whoever asks for more is told to wait
MOST_PROBLEMS = 1_000  # are kept of one job; more are only counted
MAX_KEY_CHARACTERS = 255
MAX_REASON_CHARACTERS = 1_000
KEPT = timedelta(days=90)  # a job that has ended is listed for so long
ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})

_AFTER_ALL = UUID(int=2**128 - 1)

_VIEW = (
    "id, kind, about, state, done, total, problems, error, requested_by, requested_by_name, version,"
    " file_expires_at, created_at, updated_at, finished_at"
)
_JOB = f"{_VIEW}, event_type, arguments, resume"
_ADD = f"""
insert into platform.long_jobs
  (id, event_type, kind, about, arguments, requested_by, requested_by_name, idempotency_key,
   created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
on conflict (org_id, idempotency_key) where idempotency_key is not null do nothing
returning {_JOB}"""
_ADVANCE = f"""
update platform.long_jobs
   set state = $3, done = done + $4,
       total = coalesce($5, total) + greatest(done + $4 - coalesce($5, total), 0),
       resume = $6, problems = problems + $7,
       file_expires_at = $8, version = version + 1, updated_at = $2,
       finished_at = case when $3 = 'done' then $2::timestamptz end,
       tidy_at = case when $3 = 'done' then coalesce($8::timestamptz, $2) end
 where id = $1 returning {_VIEW}"""
_END = f"""
update platform.long_jobs
   set state = $3, error = $4, version = version + 1, updated_at = $2, finished_at = $2, tidy_at = $2
 where id = $1 returning {_VIEW}"""
_TIDIED = f"""
update platform.long_jobs
   set file_expires_at = null, tidy_at = $3, version = version + (file_expires_at is not null)::int,
       updated_at = case when file_expires_at is null then updated_at else $2 end
 where id = $1 returning {_VIEW}"""


class JobProblem(View, frozen=True):
    """Something that a job could not deal with; it went on with the rest."""

    number: int
    """The line of the file; with documents, a running number."""
    reason: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A job that somebody asks for; the same key twice is one job."""

    kind: str
    about: str
    arguments: Any
    key: str | None


@dataclass(frozen=True, slots=True)
class LongJob:
    """A job as its service sees it."""

    view: LongJobView
    event_type: str
    arguments: Any
    resume: Any
    """Where the next chunk begins; None for the first."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be done."""
        return self.view.state in ENDED


@dataclass(frozen=True, slots=True)
class Advance:
    """What one chunk has done, and where the next one begins."""

    more: int
    resume: Any = None
    is_finished: bool = False
    total: int | None = None
    """How much there is in all, once that is known."""
    problems: list[JobProblem] = field(default_factory=list)
    file_expires_at: datetime | None = None


async def add(tx: Tx, event: str, asked: Request) -> tuple[LongJob, bool]:
    """Write a new job, or find the one that was asked for with this key; tells whether that was so."""
    key = _checked_key(asked.key)
    active = await tx.fetch(
        f"select from platform.long_jobs where state in ('queued', 'running') limit {MOST_ACTIVE}"
    )
    if len(active) < MOST_ACTIVE:
        row = await tx.fetchrow(
            _ADD,
            new_id(),
            event,
            asked.kind,
            asked.about,
            _text(asked.arguments),
            tx.actor.id,
            tx.actor.name,
            key,
            tx.now,
        )
        if row is not None:
            return _job(row), False
    known = await tx.fetchrow(f"select {_JOB} from platform.long_jobs where idempotency_key = $1", key)
    if known is None:
        raise Conflict(f"{MOST_ACTIVE} jobs are waiting or running; wait for one to end, or cancel one.")
    job = _job(known)
    if job.view.kind != asked.kind or job.arguments != msgspec.to_builtins(asked.arguments):
        raise Conflict("This Idempotency-Key was already used for another job.")
    return job, True


async def find(tx: Tx, job_id: LongJobId) -> LongJob:
    """Read a job; raises Missing."""
    job = await look_up(tx, job_id)
    if job is None:
        raise Missing("There is no such job.")
    return job


async def look_up(tx: Tx, job_id: LongJobId) -> LongJob | None:
    """Read a job, which may be gone."""
    row = await tx.fetchrow(f"select {_JOB} from platform.long_jobs where id = $1", job_id)
    return _job(row) if row else None


async def lock(tx: Tx, job_id: LongJobId) -> LongJob | None:
    """Read a job, and keep others from changing it until the transaction ends."""
    row = await tx.fetchrow(f"select {_JOB} from platform.long_jobs where id = $1 for no key update", job_id)
    return _job(row) if row else None


async def list_jobs(tx: Tx, before: LongJobId | None, limit: int) -> list[LongJobView]:
    """List jobs, newest first, from before this one."""
    rows = await tx.fetch(
        f"select {_VIEW} from platform.long_jobs where id < $1 order by id desc limit $2",
        before or _AFTER_ALL, limit,
    )  # fmt: skip
    return [_view(row) for row in rows]


async def list_problems(tx: Tx, job_id: LongJobId, after: int, limit: int) -> list[JobProblem]:
    """List what a job could not deal with, from after this number; raises Missing."""
    await find(tx, job_id)
    rows = await tx.fetch(
        "select number, subject, reason from platform.long_job_problems"
        " where job_id = $1 and number > $2 order by number limit $3",
        job_id, after, limit,
    )  # fmt: skip
    return [JobProblem(**row) for row in rows]


async def cancel(tx: Tx, job_id: LongJobId) -> LongJobView:
    """End a job after the chunk that is being done; raises Missing, and Conflict when it has ended."""
    job = await lock(tx, job_id)
    if job is None:
        raise Missing("There is no such job.")
    if job.view.state is JobState.CANCELLED:
        return job.view
    if job.is_over:
        raise Conflict(f"This job has ended already; it is {job.view.state}.")
    view = await _end(tx, job, JobState.CANCELLED, None)
    event = EVENTS_BY_TYPE[job.event_type]
    if not issubclass(event, LongJobAdvanced):
        raise TypeError(f"{job.event_type} is no event of long jobs")
    tx.emit(event(job=view))
    return view


async def fail(tx: Tx, job: LongJob, error: str) -> LongJobView:
    """End a job that can't go on, and say why."""
    return await _end(tx, job, JobState.FAILED, error)


async def advance(tx: Tx, job: LongJob, chunk: Advance) -> LongJobView:
    """Write how far a job has come; problems beyond what is kept are only counted."""
    kept = chunk.problems[: max(0, MOST_PROBLEMS - job.view.problems)]
    if kept:
        await tx.executemany(
            "insert into platform.long_job_problems (job_id, number, subject, reason)"
            " values ($1, $2, $3, $4)",
            [(job.view.id, one.number, _storable(one.subject), _storable(one.reason)) for one in kept],
        )
    row = await tx.fetchrow(
        _ADVANCE,
        job.view.id,
        tx.now,
        JobState.DONE if chunk.is_finished else JobState.RUNNING,
        chunk.more,
        chunk.total,
        _text(chunk.resume),
        len(chunk.problems),
        chunk.file_expires_at,
    )
    return _view(row)


async def to_tidy(shards: Shards, shard: str, event: str, limit: int) -> list[tuple[OrgId, LongJobId]]:
    """Name jobs on one shard that have left something behind for too long; raises Unavailable."""
    with outages_are_problems():
        pool = await shards.pool(shard)
        rows = await pool.fetch("select org_id, id from platform.long_jobs_to_tidy($1, $2)", event, limit)
    return [(OrgId(row["org_id"]), LongJobId(row["id"])) for row in rows]


async def tidied(tx: Tx, job: LongJob) -> LongJobView | None:
    """Note that a job has no files any more; None when it was so old that it is gone itself."""
    finished_at = job.view.finished_at or tx.now
    if finished_at + KEPT <= tx.now:
        await tx.execute("delete from platform.long_jobs where id = $1", job.view.id)
        return None
    return _view(await tx.fetchrow(_TIDIED, job.view.id, tx.now, finished_at + KEPT))


async def _end(tx: Tx, job: LongJob, state: JobState, error: str | None) -> LongJobView:
    return _view(await tx.fetchrow(_END, job.view.id, tx.now, state, error))


def _job(row: asyncpg.Record) -> LongJob:
    return LongJob(
        view=_view({name: row[name] for name in LongJobView.__struct_fields__}),
        event_type=row["event_type"],
        arguments=msgspec.json.decode(row["arguments"]),
        resume=msgspec.json.decode(row["resume"]) if row["resume"] else None,
    )


def _view(row: Any) -> LongJobView:
    return LongJobView(**{**row, "state": JobState(row["state"])})


def _storable(said: str) -> str:
    """Shorten what may quote a file, and take out the one character that can't be stored."""
    return said.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_REASON_CHARACTERS]


def _text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _checked_key(key: str | None) -> str | None:
    if key is None or not key.strip():
        return None
    if len(key) > MAX_KEY_CHARACTERS or not key.isprintable():
        raise Invalid(f"The Idempotency-Key must be at most {MAX_KEY_CHARACTERS} printable characters.")
    return key
