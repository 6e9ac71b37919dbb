"""Moves of organizations between shards, while they work: the verbs."""

import asyncio

from dana.contracts.ids import OrgId
from dana.platform.catalog import Route
from dana.platform.errors import Conflict, Missing
from dana.platform.migrations import schema_kept
from dana.platform.servers import shard_addresses
from dana.services.placement.actions.comparing import compare_again
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.driver import Driver, OnProgress
from dana.services.placement.actions.driving import carry_on
from dana.services.placement.actions.preparing import clear
from dana.services.placement.models.moves import Move, MoveId, MoveState, TableCheck, Target
from dana.services.placement.store import moves, placements, tables
from dana.services.placement.store.logbook import logbook_of
from dana.services.placement.store.sessions import move_session, session

FOLLOW_SECONDS = 0.2
COMPARED = frozenset({MoveState.VERIFIED, MoveState.UNPROVEN})
BUSY = "The organization's move is being driven at this moment; try again when it has ended."


async def request(desk: Desk, org_id: OrgId, target: str) -> Move:
    """Ask for a move; `drive`, or the service's job, carries it out. Raises Missing and Conflict."""
    async with desk.shards.catalog.read() as tx:
        source = await moves.place_of(tx, org_id)
        shard = await moves.target(tx, target)
        last = await moves.open_move_of(tx, org_id)
    if source is None:
        raise Missing("There is no such organization.")
    if shard is None:
        raise Missing(f"There is no shard named {target}.")
    if last is not None:
        raise Conflict(f"The organization is on its way already, in move {last.id}.")
    if source.shard == target:
        raise Conflict(f"The organization lives on {target} already.")
    _refuse_unless_open(shard, org_id)
    return await _record(desk, org_id, source, target, back_of=None)


async def drive(desk: Desk, move_id: MoveId, on_progress: OnProgress) -> Move:
    """Carry a move out, or on, to its end; while somebody else does that, follow it.

    Calls `on_progress` at each state, and about five times a second in between. Raises Missing, and
    Unavailable when a database stays away: the move then waits to be driven on.
    """
    while True:
        ended = await carry_on(desk, move_id, on_progress)
        if ended is not None:
            return ended
        move = await find(desk, move_id)
        on_progress(move)
        if move.is_ended:
            return move
        await asyncio.sleep(FOLLOW_SECONDS)


async def abort(desk: Desk, move_id: MoveId) -> Move:
    """Ask for the end of a move before its switch; whoever drives it carries that out.

    Raises Missing, and Conflict after the switch.
    """
    async with desk.shards.catalog.tx() as tx:
        aborted = await moves.want_abort(tx, move_id, "Aborted as asked.")
        move = aborted or await moves.find_move(tx, move_id)
    if move is None:
        raise Missing("There is no such move.")
    if aborted is None and move.state != MoveState.ABORTED:
        raise Conflict(f"The organization has switched to {move.target}; roll back instead.")
    return move


async def rollback(desk: Desk, move_id: MoveId) -> Move:
    """Ask for a new move, back to where the organization came from. Raises Missing and Conflict.

    It may go back to a shard that is closed for others. What was written since the switch goes along; the
    old copy at the source is removed first, whether it was compared or not.
    """
    move = await find(desk, move_id)
    if move.is_before_switch or move.state in {MoveState.ABORTING, MoveState.ABORTED}:
        raise Conflict("The organization has not switched, so there is nothing to take back; abort instead.")
    async with desk.shards.catalog.read() as tx:
        place = await moves.place_of(tx, move.org_id)
        home = await moves.target(tx, move.source)
        last = await moves.open_move_of(tx, move.org_id)
    if last is not None and last.id != move.id:
        raise Conflict(f"The organization is on its way already, in move {last.id}.")
    if place != Route(move.target, move.epoch + 1):
        raise Conflict("The organization has moved again since then; take that move back.")
    if home is None:
        raise Missing(f"There is no shard named {move.source} any more.")
    if home.dedicated_to not in (None, move.org_id):
        raise Conflict(f"{move.source} is dedicated to another organization.")
    return await _record(desk, move.org_id, place, move.source, back_of=move.id)


async def verify(desk: Desk, move_id: MoveId) -> list[TableCheck]:
    """Compare the source's copy with what had arrived at the switch. Raises Missing and Conflict.

    Of a move whose driver died between the switch and the sums of the target's tables, only the rows that
    nobody has written since can be compared; its checks then say how many could not.
    """
    move = await find(desk, move_id)
    if move.state == MoveState.PURGED:
        return move.checks or []
    _refuse_unless_compared(move)
    async with logbook_of(desk.shards.catalog, move.org_id) as book:
        if book is None:
            raise Conflict(BUSY)
        move = await book.read(move_id)
        _refuse_unless_compared(move)
        async with Driver(desk, book, move, lambda _: None, lambda _: None) as driver:
            return await compare_again(driver)


async def purge(desk: Desk, move_id: MoveId, *, accept_unproven: bool = False) -> Move:
    """Delete the source's copy of a moved organization. Raises Missing and Conflict.

    The copy is the last proof: without an exact comparison of every row it is only deleted when the caller
    accepts that.
    """
    move = await find(desk, move_id)
    async with logbook_of(desk.shards.catalog, move.org_id) as book:
        if book is None:
            raise Conflict(BUSY)
        move = await book.read(move_id)
        if move.state == MoveState.PURGED:
            return move
        _refuse_unless_compared(move)
        if not (move.state == MoveState.VERIFIED or accept_unproven):
            raise Conflict(f"It is not proven that every row has arrived. {move.error or ''}".strip())
        dsn = (await shard_addresses(desk.settings)).get(move.source)
        if dsn is None:
            raise Missing(f"There is no shard named {move.source} any more.")
        async with move_session(dsn, move.org_id) as source:
            if await placements.state_here(source, move.org_id, move.epoch) != "moved":
                raise Conflict(f"{move.source} has no copy of this move.")
            await clear(source, move.org_id)
        await book.close_copies(move.org_id, move.source)
        return await book.read(move_id)


async def find(desk: Desk, move_id: MoveId) -> Move:
    """Read one move; raises Missing."""
    async with desk.shards.catalog.read() as tx:
        move = await moves.find_move(tx, move_id)
    if move is None:
        raise Missing("There is no such move.")
    return move


async def list_moves(desk: Desk, *, only_open: bool) -> list[Move]:
    """List moves, newest first: all that are kept, or those that haven't ended."""
    async with desk.shards.catalog.read() as tx:
        return await (moves.open_moves(tx) if only_open else moves.moves(tx))


async def list_moves_before(desk: Desk, before: MoveId | None, limit: int, *, only_open: bool) -> list[Move]:
    """List moves older than one, or the newest: a page of so many."""
    async with desk.shards.catalog.read() as tx:
        return await moves.moves_before(tx, before, limit, only_open=only_open)


async def _record(desk: Desk, org_id: OrgId, source: Route, target: str, back_of: MoveId | None) -> Move:
    async with schema_kept(desk.settings) as is_kept:
        if not is_kept:
            raise Conflict("A migration is running; ask again when it has ended.")
    addresses = await shard_addresses(desk.settings)
    async with session(addresses[source.shard]) as here, session(addresses[target]) as there:
        if await tables.schema(here) != await tables.schema(there):
            raise Conflict(
                f"{source.shard} and {target} have not run the same migrations: run `dana migrate` first."
            )
    async with desk.shards.catalog.tx() as tx:
        move = await moves.add_move(tx, org_id, source, target, back_of)
    if move is None:
        raise Conflict("The organization is on its way already.")
    return move


def _refuse_unless_open(shard: Target, org_id: OrgId) -> None:
    if shard.dedicated_to not in (None, org_id):
        raise Conflict(f"{shard.name} is dedicated to another organization.")
    if not shard.is_open and shard.dedicated_to is None:
        raise Conflict(f"{shard.name} is closed: it takes no more organizations.")


def _refuse_unless_compared(move: Move) -> None:
    if move.is_before_switch or move.state in {MoveState.ABORTING, MoveState.ABORTED}:
        raise Conflict("The organization has not switched: its source is no copy.")
    if move.state not in COMPARED:
        raise Conflict("The move has not ended; drive it to its end first.")
