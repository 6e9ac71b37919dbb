"""From state to state: what is recorded says what is next, whoever drives."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from dana.platform.database import outages_are_problems
from dana.platform.errors import Conflict, Missing, Unavailable
from dana.services.placement.actions.comparing import compare
from dana.services.placement.actions.copying import copy
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.driver import Driver, GivenUpError, OnProgress, OnStep
from dana.services.placement.actions.preparing import await_turn, prepare
from dana.services.placement.actions.switching import switch
from dana.services.placement.actions.undoing import disconnect, undo
from dana.services.placement.models.moves import Move, MoveId, MoveState
from dana.services.placement.store import moves
from dana.services.placement.store.logbook import Logbook, logbook_of

OUTAGE_PATIENCE_SECONDS = 30.0  # a server that restarts, or fails over, is back by then
OUTAGE_PAUSE_SECONDS = 0.5

log = structlog.get_logger(__name__)

_WORK: dict[MoveState, Callable[[Driver], Awaitable[None]]] = {
    MoveState.REQUESTED: await_turn,
    MoveState.PREPARED: prepare,
    MoveState.COPYING: copy,
    MoveState.SYNCED: switch,
    MoveState.FROZEN: switch,  # by a driver that died: begin the switch anew
    MoveState.ARRIVED: switch,
    MoveState.SWITCHED: disconnect,
    MoveState.DISCONNECTED: compare,
    MoveState.ABORTING: undo,
}


async def carry_on(
    desk: Desk, move_id: MoveId, on_progress: OnProgress, on_step: OnStep = lambda _: None
) -> Move | None:
    """Carry a move on to its end; None when another driver has the logbook.

    What an earlier move of the organization has left to do comes first. Raises Missing and Unavailable.
    """
    async with desk.shards.catalog.read() as tx:
        move = await moves.find_move(tx, move_id)
    if move is None:
        raise Missing("There is no such move.")
    async with logbook_of(desk.shards.catalog, move.org_id) as book:
        if book is None:
            return None
        async with desk.shards.catalog.read() as tx:
            first = await moves.open_move_of(tx, move.org_id)
        if first is not None and first.id != move_id:
            await _to_the_end(desk, book, first.id, lambda _: None, on_step)
        return await _to_the_end(desk, book, move_id, on_progress, on_step)


async def _to_the_end(
    desk: Desk, book: Logbook, move_id: MoveId, on_progress: OnProgress, on_step: OnStep
) -> Move:
    away_since = None
    async with Driver(desk, book, await book.read(move_id), on_progress, on_step) as driver:
        on_progress(driver.move)
        while not driver.move.is_ended:
            try:
                with outages_are_problems():
                    await _work(driver)
                away_since = None
            except GivenUpError as reason:
                if not driver.move.is_before_switch:
                    driver.show(await book.note_error(move_id, str(reason)))
                    raise Conflict(str(reason)) from reason
                await driver.enter(MoveState.ABORTING, str(reason))
            except Unavailable as outage:
                away_since = away_since or time.monotonic()
                await _bear(driver, outage, time.monotonic() - away_since)
            except Exception as bug:
                log.exception("move_failed", move=str(move_id), state=driver.move.state)
                if not driver.move.is_before_switch:
                    driver.show(await book.note_error(move_id, repr(bug)))
                    raise
                await driver.enter(MoveState.ABORTING, repr(bug))
        return driver.move


async def _work(driver: Driver) -> None:
    if driver.move.state == MoveState.REQUESTED and driver.move.is_abort_wanted:
        driver.show(await driver.logbook.end(driver.move.id, MoveState.ABORTED, driver.move.error))
        return
    driver.heed_abort()
    await _WORK[driver.move.state](driver)


async def _bear(driver: Driver, outage: Unavailable, seconds: float) -> None:
    """Wait a moment for a database; after a while give the move up, or leave it to a later driver."""
    await driver.forget_sessions()
    driver.show(await driver.logbook.read(driver.move.id))
    log.warning("move_waits", move=str(driver.move.id), state=driver.move.state, error=outage.detail)
    if seconds > OUTAGE_PATIENCE_SECONDS:
        if not driver.move.is_before_switch:
            driver.show(await driver.logbook.note_error(driver.move.id, outage.detail))
            raise outage
        await driver.enter(MoveState.ABORTING, outage.detail)
    await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
