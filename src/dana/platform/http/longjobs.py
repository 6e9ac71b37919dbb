"""HTTP in: the long jobs of an organization, whichever service does them. Who may start one may see all."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter, SkipValidation

from dana.contracts.ids import LongJobId
from dana.contracts.views import LongJobView, Role
from dana.platform import longjobs
from dana.platform.errors import Invalid
from dana.platform.http.paging import Page, decode_cursor, encode_cursor
from dana.platform.identity import Member, require
from dana.platform.longjobs import JobProblem
from dana.platform.shards import Shards

LARGEST_NUMBER = 2**62

SignedIn = NamedDependency[SkipValidation[Member]]
Database = NamedDependency[SkipValidation[Shards]]
Id = FromPath[UUID]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Cursor = Annotated[str | None, QueryParameter(max_length=400)]


@get("/", operation_id="list_jobs")
async def list_jobs(
    member: SignedIn, shards: Database, cursor: Cursor = None, limit: Limit = 50
) -> Page[LongJobView]:
    """List long jobs, newest first; one that has ended is listed for 90 days."""
    require(member, Role.ADMIN)
    before = _job_id(cursor)
    async with shards.read(member.org_id) as tx:
        found = await longjobs.list_jobs(tx, before, limit + 1)
    next_cursor = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return Page(items=found[:limit], next_cursor=next_cursor)


@get("/{job_id:uuid}", operation_id="get_job")
async def get_job(job_id: Id, member: SignedIn, shards: Database) -> LongJobView:
    """Read one long job and how far it has come."""
    require(member, Role.ADMIN)
    async with shards.read(member.org_id) as tx:
        return (await longjobs.find(tx, LongJobId(job_id))).view


@get("/{job_id:uuid}/problems", operation_id="list_job_problems")
async def list_job_problems(
    job_id: Id, member: SignedIn, shards: Database, cursor: Cursor = None, limit: Limit = 50
) -> Page[JobProblem]:
    """List what a job could not deal with, by number; the first 1,000 are kept."""
    require(member, Role.ADMIN)
    after = _number(cursor)
    async with shards.read(member.org_id) as tx:
        found = await longjobs.list_problems(tx, LongJobId(job_id), after, limit + 1)
    next_cursor = encode_cursor(found[limit - 1].number) if len(found) > limit else None
    return Page(items=found[:limit], next_cursor=next_cursor)


@post("/{job_id:uuid}/cancel", status_code=200, operation_id="cancel_job")
async def cancel_job(job_id: Id, member: SignedIn, shards: Database) -> LongJobView:
    """End a job after the chunk that is being done. What was done until then stays done."""
    require(member, Role.ADMIN)
    async with shards.tx(member.org_id, member.actor) as tx:
        return await longjobs.cancel(tx, LongJobId(job_id))


def router(shards: Shards) -> Router:
    """Build the routes."""
    return Router(
        "/api/v1/jobs",
        route_handlers=[list_jobs, get_job, list_job_problems, cancel_job],
        dependencies={"shards": Provide(lambda: shards, sync_to_thread=False)},
        tags=["jobs"],
    )


def _job_id(cursor: str | None) -> LongJobId | None:
    if cursor is None:
        return None
    try:
        return LongJobId(UUID(decode_cursor(cursor, 1)[0]))
    except ValueError:
        raise Invalid("This cursor is not valid here.") from None


def _number(cursor: str | None) -> int:
    if cursor is None:
        return -1
    try:
        return min(int(decode_cursor(cursor, 1)[0]), LARGEST_NUMBER)
    except ValueError:
        raise Invalid("This cursor is not valid here.") from None
