"""HTTP in: what consumers have yet to do, and what failed for good; for the people who run the platform."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from litestar import Router, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import FromQuery, JSONBody, QueryParameter, SkipValidation

from dana.contracts.ids import OrgId
from dana.contracts.views import PlatformRole
from dana.platform import deadletters, replaying
from dana.platform.deadletters import Letter
from dana.platform.errors import Forbidden, Invalid
from dana.platform.http.app import bearer_token
from dana.platform.http.paging import Page, decode_cursor, encode_cursor
from dana.platform.identity import Keys, Member, require_platform
from dana.platform.replaying import Replay
from dana.platform.schedules import Schedule, list_schedules
from dana.platform.settings import Settings

BODY_BYTES = 64 * 1024
PAGE_MOST = 100
CURSOR_PARTS = 5

log = structlog.get_logger(__name__)

SignedIn = NamedDependency[SkipValidation[Member]]
Installation = NamedDependency[SkipValidation[Settings]]
IsDead = Annotated[
    bool, QueryParameter(description="Those that failed for good, or else those that are due.")
]
Organization = Annotated[UUID | None, QueryParameter(description="Only of this organization.")]
Group = Annotated[str | None, QueryParameter(max_length=60, description="Only of this consumer.")]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_MOST)]
Cursor = Annotated[str | None, QueryParameter(max_length=400)]
# A number that browsers can write, too: they know whole numbers up to 2 to the 53rd only.
LARGEST_CURSOR = 10**15
EventCursor = Annotated[int, QueryParameter(ge=1, le=LARGEST_CURSOR, description="The event's cursor.")]


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """One event that one consumer has yet to consume, or has given up on."""

    shard: str
    organization_id: UUID
    cursor: int
    type: str
    group: str
    lane: str
    state: str
    attempts: int
    reason: str | None
    age_seconds: float
    created_at: datetime
    available_at: datetime
    payload: msgspec.Raw | None = None
    """What happened, word for word; shown to who may act, one event at a time."""


class Redrive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead ones are tried again; all by default."""

    organization_id: UUID | None = None
    cursor: int | None = None
    group: str | None = None


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which past events one consumer gets again: all of an organization, of one conversation, of a time."""

    group: str
    organization_id: UUID
    conversation_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries that made."""

    deliveries: int


@get("/", operation_id="list_platform_jobs")
async def list_jobs(
    settings: Installation,
    *,
    is_dead: IsDead = True,
    organization_id: Organization = None,
    group: Group = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[JobView]:
    """List deliveries that failed for good, or that are due, in the order in which they are."""
    ask = deadletters.dead if is_dead else deadletters.due
    after = _place(cursor) if cursor else deadletters.NOWHERE
    found = await ask(settings, organization_id, group, after, limit + 1)
    more = len(found) > limit
    return Page(
        items=[_view(letter) for letter in found[:limit]],
        next_cursor=encode_cursor(*found[limit - 1].place) if more else None,
    )


@get("/event", operation_id="show_platform_job")
async def show_event(
    settings: Installation, member: SignedIn, organization_id: FromQuery[UUID], event_cursor: EventCursor
) -> Page[JobView]:
    """Show what each consumer still has to do with one event; what is in it only to who may act."""
    found = await deadletters.show(settings, organization_id, event_cursor)
    return Page(items=[_view(letter, with_payload=_may_act(member)) for letter in found])


@get("/recurring", operation_id="list_recurring_platform_jobs")
async def list_recurring(settings: Installation) -> Page[Schedule]:
    """List what runs again and again: when next, and when it last ended well."""
    return Page(items=await list_schedules(settings))


@post("/redrive", status_code=200, operation_id="redrive_platform_jobs")
async def redrive(settings: Installation, member: SignedIn, data: JSONBody[Redrive]) -> Count:
    """Try dead deliveries again."""
    count = await deadletters.redrive(settings, data.organization_id, data.cursor, data.group)
    log.info("jobs_redriven", count=count, user=str(member.user_id))
    return Count(deliveries=count)


@post("/replay", status_code=200, operation_id="replay_platform_jobs")
async def replay(settings: Installation, member: SignedIn, data: JSONBody[ReplayRequest]) -> Count:
    """Bring past events to one consumer again, in order. A request that was cut is repeated as it was."""
    asked = Replay(
        data.group,
        OrgId(data.organization_id),
        data.conversation_id,
        data.since and data.since.astimezone(UTC),
        data.until and data.until.astimezone(UTC),
    )
    count = await replaying.replay(settings, asked)
    log.info("jobs_replayed", count=count, group=data.group, scope=asked.scope, user=str(member.user_id))
    return Count(deliveries=count)


def router(settings: Settings, keys: Keys) -> Router:
    """Build the routes; support may look, an admin may act."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        role = PlatformRole.SUPPORT if connection.scope.get("method") == "GET" else PlatformRole.ADMIN
        require_platform(keys.verify_member(bearer_token(connection)), role)

    return Router(
        "/api/v1/platform/jobs",
        route_handlers=[list_jobs, show_event, list_recurring, redrive, replay],
        dependencies={"settings": Provide(lambda: settings, sync_to_thread=False)},
        guards=[guard],
        request_max_body_size=BODY_BYTES,
        tags=["platform"],
    )


def _view(letter: Letter, *, with_payload: bool = False) -> JobView:
    return JobView(
        shard=letter.shard,
        organization_id=letter.org_id,
        cursor=letter.cursor,
        type=letter.type,
        group=letter.group,
        lane=letter.lane,
        state="due" if letter.state == "ready" else letter.state,
        attempts=letter.attempts,
        reason=letter.reason,
        age_seconds=letter.age_seconds,
        created_at=letter.created_at,
        available_at=letter.available_at,
        payload=msgspec.Raw(letter.payload.encode()) if with_payload else None,
    )


def _may_act(member: Member) -> bool:
    try:
        require_platform(member, PlatformRole.ADMIN)
    except Forbidden:
        return False
    return True


def _place(cursor: str) -> deadletters.Place:
    available_at, org_id, number, group, lane = decode_cursor(cursor, CURSOR_PARTS)
    try:
        return datetime.fromisoformat(available_at), UUID(org_id), int(number), group, lane
    except ValueError:
        raise Invalid("This cursor is not valid here.") from None
