"""The end of a move's replication: after the switch, or because the move is given up."""

from dana.platform.errors import Unavailable
from dana.services.placement.actions.copying import until_dropped
from dana.services.placement.actions.driver import Driver
from dana.services.placement.actions.preparing import clear
from dana.services.placement.actions.switching import reopen_source
from dana.services.placement.models.moves import MoveState, Step
from dana.services.placement.store import placements, replication


async def disconnect(driver: Driver) -> None:
    """Say at the source that the organization has gone, and end the replication."""
    move = driver.move
    await placements.leave(await driver.source(), move.org_id, move.epoch)
    driver.at(Step.LEFT)
    await _unsubscribe(driver)
    await _stop_publishing(driver)
    await driver.enter(MoveState.DISCONNECTED)


async def undo(driver: Driver) -> None:
    """Leave everything as it was before the move. The source works again first, whatever else is away."""
    move = driver.move
    is_target_there = await reopen_source(driver)
    if is_target_there:
        await _unsubscribe(driver)
    await _stop_publishing(driver)
    await placements.remove_markers(await driver.source(), move.org_id)
    if not is_target_there:
        raise Unavailable(f"{move.target} can't be reached; what was copied there is removed when it can.")
    target = await driver.target()
    if await placements.state_here(target, move.org_id, move.epoch + 1) == "importing":
        await clear(target, move.org_id)
        await placements.remove_markers(target, move.org_id)
        driver.at(Step.CLEARED)
        await placements.forget(target, move.org_id, move.epoch + 1)
    driver.at(Step.FORGOTTEN)
    driver.show(await driver.logbook.end(move.id, MoveState.ABORTED, move.error))


async def _unsubscribe(driver: Driver) -> None:
    await replication.unsubscribe(await driver.target(), replication.name_of(driver.move.id))
    driver.at(Step.UNSUBSCRIBED)


async def _stop_publishing(driver: Driver) -> None:
    source, name = await driver.source(), replication.name_of(driver.move.id)
    await until_dropped(source, name)
    driver.at(Step.SLOT_DROPPED)
    await replication.unpublish(source, name)
    driver.at(Step.UNPUBLISHED)
