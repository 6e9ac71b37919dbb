"""Moves: asked for here, carried out by whichever process has time, watched and ended here."""

from typing import Annotated
from uuid import UUID

import msgspec
import structlog
from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from dana.contracts.ids import OrgId
from dana.platform.errors import Invalid
from dana.platform.http import Page, decode_cursor, encode_cursor
from dana.services.placement.actions import moving
from dana.services.placement.api.parameters import PAGE_MOST, AtDesk, Cursor, Id, Limit, SignedIn
from dana.services.placement.models.moves import Move, MoveId, TableCheck

log = structlog.get_logger(__name__)

OnlyOpen = Annotated[bool, QueryParameter(description="Only those that haven't ended.")]
AcceptUnproven = Annotated[
    bool, QueryParameter(description="Delete the copy though it isn't proven that every row has arrived.")
]


class NewMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to move, and where to."""

    organization_id: UUID
    target: Annotated[str, msgspec.Meta(max_length=60)]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What the comparison of both copies found."""

    is_proven: bool
    """Whether every row is known to have arrived as it was."""
    checks: list[TableCheck]


@get("/moves")
async def list_moves(
    desk: AtDesk, only_open: OnlyOpen = False, limit: Limit = PAGE_MOST, cursor: Cursor = None
) -> Page[Move]:
    """List moves, newest first."""
    before = _read(cursor) if cursor else None
    found = await moving.list_moves_before(desk, before, limit + 1, only_open=only_open)
    items = found[:limit]
    return Page(items=items, next_cursor=encode_cursor(items[-1].id) if len(found) > limit else None)


@post("/moves")
async def request_move(data: JSONBody[NewMove], desk: AtDesk, member: SignedIn) -> Move:
    """Ask for an organization's move to another shard. It begins within seconds, and is watched by its id."""
    move = await moving.request(desk, OrgId(data.organization_id), data.target)
    log.info("move_requested", move=str(move.id), target=move.target, user=str(member.user_id))
    return move


@get("/moves/{move_id:uuid}")
async def read_move(move_id: Id, desk: AtDesk) -> Move:
    """Read how far a move has come."""
    return await moving.find(desk, MoveId(move_id))


@post("/moves/{move_id:uuid}/abort", status_code=200)
async def abort_move(move_id: Id, desk: AtDesk, member: SignedIn) -> Move:
    """Ask for the end of a move that hasn't switched yet; the organization stays where it is."""
    log.info("move_abort_wanted", move=str(move_id), user=str(member.user_id))
    return await moving.abort(desk, MoveId(move_id))


@post("/moves/{move_id:uuid}/rollback")
async def roll_back_move(move_id: Id, desk: AtDesk, member: SignedIn) -> Move:
    """Ask for a move back, with everything that was written meanwhile. Answers with the new move."""
    log.info("move_rollback_wanted", move=str(move_id), user=str(member.user_id))
    return await moving.rollback(desk, MoveId(move_id))


@post("/moves/{move_id:uuid}/verify", status_code=200)
async def verify_move(move_id: Id, desk: AtDesk) -> Comparison:
    """Compare the copy that was left behind with what had arrived, row by row."""
    checks = await moving.verify(desk, MoveId(move_id))
    return Comparison(is_proven=(await moving.find(desk, MoveId(move_id))).is_proven, checks=checks)


@post("/moves/{move_id:uuid}/purge", status_code=200)
async def purge_move(
    move_id: Id, desk: AtDesk, member: SignedIn, accept_unproven: AcceptUnproven = False
) -> Move:
    """Delete the copy that was left behind; after that the move can't be rolled back."""
    log.info("move_purged", move=str(move_id), accept_unproven=accept_unproven, user=str(member.user_id))
    return await moving.purge(desk, MoveId(move_id), accept_unproven=accept_unproven)


def _read(cursor: str) -> MoveId:
    (text,) = decode_cursor(cursor, 1)
    try:
        return MoveId(UUID(text))
    except ValueError:
        raise Invalid("This cursor is not valid here; take it from `next_cursor` of the same list.") from None


ROUTES = [list_moves, request_move, read_move, abort_move, roll_back_move, verify_move, purge_move]
