"""The switch: for some milliseconds nobody writes, then everybody is at the target.

source: lock, 'frozen', marker ─► target: marker seen, snapshot, 'active' ─► catalog: route ─► source: 'moved'
       └──────────────────────── nobody can write ─────────────────────────────┘

Whatever fails before the route has changed is taken back, and the organization goes on at the source.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

from dana.platform.database import outages_are_problems
from dana.platform.errors import Problem, Unavailable
from dana.services.placement.actions import copying
from dana.services.placement.actions.driver import Driver, GivenUpError
from dana.services.placement.models.moves import MoveState, Step
from dana.services.placement.store import placements, replication
from dana.services.placement.store.placements import Opening
from dana.services.placement.store.sessions import Connection

ARRIVAL_SECONDS = 1.0  # whoever wants to write waits for three
ATTEMPTS = 3

# How long the freeze may wait for open transactions, making others wait behind it, and for how long it lets
# them pass then. A transaction may last 30 seconds; the growth is for many that overlap.
LOCK_TIMEOUTS_MS = ((25, 60), (50, 20), (100, 20), (250, 10), (500, 10))
LOCK_PAUSE_SECONDS = 0.25


class NotArrivedError(Exception):
    """The last change didn't come through in time."""


async def switch(driver: Driver) -> None:
    """Freeze, let the last change arrive, and send everybody to the target."""
    await reopen_source(driver)
    name = replication.name_of(driver.move.id)
    looking = await driver.second_target()
    opening = await Opening.prepare(await driver.target())
    for _ in range(ATTEMPTS):
        await copying.follow(driver, name)
        for lock_timeout_ms in _lock_timeouts():
            try:
                if await _unbroken(driver, looking, opening, lock_timeout_ms):
                    return
            except NotArrivedError:
                break
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
            await copying.look(driver, name)
            driver.show(await driver.logbook.read(driver.move.id))
            driver.heed_abort()
        else:
            raise GivenUpError(
                "Some transaction of the organization was always open, so it could not be frozen; try again"
                " at a quieter hour."
            )
    raise GivenUpError(
        f"{driver.move.target} was {ATTEMPTS} times too slow to take over the last change within"
        f" {ARRIVAL_SECONDS:g} s; the organization stays on {driver.move.source}."
    )


async def reopen_source(driver: Driver) -> bool:
    """Take back a switch that did not happen; False when the target could not be reached.

    The target is closed first. When it is away, the source opens all the same: no route leads to the target.
    """
    move = driver.move
    is_closed = False
    with suppress(Problem), outages_are_problems():
        await placements.close(await driver.target(), move.org_id, move.epoch + 1)
        is_closed = True
    driver.at(Step.CLOSED)
    await placements.thaw(await driver.source(), move.org_id, move.epoch)
    driver.at(Step.THAWED)
    return is_closed


async def _unbroken(driver: Driver, looking: Connection, opening: Opening, lock_timeout_ms: int) -> bool:
    """Switch, even if this task is cancelled meanwhile: it takes some milliseconds."""
    switching = asyncio.ensure_future(_switch(driver, looking, opening, lock_timeout_ms))
    try:
        return await asyncio.shield(switching)
    except asyncio.CancelledError:
        await asyncio.wait([switching])
        raise


async def _switch(driver: Driver, looking: Connection, opening: Opening, lock_timeout_ms: int) -> bool:
    """Return whether it is done; False when the source could not be frozen in time."""
    began = time.perf_counter()
    try:
        first_transaction = await _bring_over(driver, looking, opening, lock_timeout_ms)
    except BaseException:
        await _take_back(driver)
        raise
    if first_transaction is None:
        return False
    await _send_everybody(driver, first_transaction)
    pause_ms = (time.perf_counter() - began) * 1000
    driver.at(Step.SWITCHED)
    driver.snapshot = looking
    await driver.logbook.note_pause(driver.move.id, pause_ms)
    driver.show(await driver.logbook.read(driver.move.id))
    return True


async def _bring_over(
    driver: Driver, looking: Connection, opening: Opening, lock_timeout_ms: int
) -> int | None:
    """Freeze the source and open the target; returns the transaction that opened it, None if not frozen."""
    move, book, token = driver.move, driver.logbook, uuid4()
    source = await driver.source()
    if not await placements.freeze(source, move.org_id, move.epoch, token, lock_timeout_ms):
        return None
    driver.at(Step.FROZEN)
    _, has_arrived = await asyncio.gather(
        book.enter_quickly(move.id, MoveState.FROZEN),
        copying.await_marker(looking, move.org_id, token, ARRIVAL_SECONDS),
    )
    if not has_arrived:
        raise NotArrivedError
    driver.at(Step.MARKER_SEEN)
    _, first_transaction = await asyncio.gather(
        book.enter_quickly(move.id, MoveState.ARRIVED), opening.run(move.org_id, move.epoch + 1)
    )
    if first_transaction is None:
        raise GivenUpError(f"{move.target} no longer expects the organization.")
    driver.at(Step.OPENED)
    return first_transaction


async def _send_everybody(driver: Driver, first_transaction: int) -> None:
    """Change the route; raises GivenUpError when the move shall be aborted, Unavailable if nobody knows."""
    try:
        is_done = await driver.logbook.switch_over(driver.move.id, first_transaction)
    except Unavailable:
        raise  # it may have happened: whoever reads the logbook next will know
    except BaseException:
        await _take_back(driver)
        raise
    if not is_done:
        await _take_back(driver)
        driver.show(await driver.logbook.read(driver.move.id))
        driver.heed_abort()
        raise GivenUpError("The move was changed by somebody else.")


async def _take_back(driver: Driver) -> None:
    """Reopen the source at once; where that fails, the next driver does it first thing."""
    with suppress(Problem), outages_are_problems():
        await reopen_source(driver)


def _lock_timeouts() -> Iterator[int]:
    for milliseconds, times in LOCK_TIMEOUTS_MS:
        for _ in range(times):
            yield milliseconds
