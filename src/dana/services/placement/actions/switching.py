"""The switch: for some milliseconds nobody writes, then everybody is at the target.

source: lock, 'frozen', marker ─► target: marker seen, snapshot, 'active' ─► catalog: route ─► source: 'moved'
       └──────────────────────── nobody can write ─────────────────────────────┘

Whatever fails before the route has changed is taken back, and the organization goes on at the source.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from dana.platform.database import outages_are_problems
from dana.platform.errors import Problem, Unavailable
from dana.services.placement.actions import copying
from dana.services.placement.actions.driver import Driver, GivenUpError
from dana.services.placement.models.moves import MoveState, Step
from dana.services.placement.store import placements, replication
from dana.services.placement.store.placements import Freezing, Opening
from dana.services.placement.store.sessions import Connection

ARRIVAL_SECONDS = 1.0  # whoever wants to write waits for three
ATTEMPTS = 3

# A writer at 500 transactions a second leaves a moment without one every few milliseconds; the freeze looks
# for it so long. Where there is none it waits for open transactions, making others wait behind it: how long,
# and how often before it waits longer. A transaction may last 30 s; the growth is for many that overlap.
QUIET_MOMENT = timedelta(milliseconds=100)
LOCK_TIMEOUTS_MS = ((25, 20), (50, 20), (100, 20), (250, 20), (500, 20))
LOCK_PAUSE_SECONDS = 0.25


class NotArrivedError(Exception):
    """The last change didn't come through in time."""


class Ready(NamedTuple):
    """What is made ready beforehand, so that the switch takes few round trips."""

    freezing: Freezing
    looking: Connection
    opening: Opening


async def switch(driver: Driver) -> None:
    """Freeze, let the last change arrive, and send everybody to the target."""
    await reopen_source(driver)
    name = replication.name_of(driver.move.id)
    ready = Ready(
        freezing=await Freezing.prepare(await driver.source()),
        looking=await driver.second_target(),
        opening=await Opening.prepare(await driver.target()),
    )
    await driver.logbook.warm_up(driver.move.id)
    for _ in range(ATTEMPTS):
        await copying.follow(driver, name)
        for lock_timeout_ms in _lock_timeouts():
            try:
                if await _unbroken(driver, ready, lock_timeout_ms):
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


async def _unbroken(driver: Driver, ready: Ready, lock_timeout_ms: int) -> bool:
    """Switch, even if this task is cancelled meanwhile: it takes some milliseconds."""
    switching = asyncio.ensure_future(_switch(driver, ready, lock_timeout_ms))
    try:
        return await asyncio.shield(switching)
    except asyncio.CancelledError:
        await asyncio.wait([switching])
        raise


async def _switch(driver: Driver, ready: Ready, lock_timeout_ms: int) -> bool:
    """Return whether it is done; False when the source could not be frozen in time."""
    move, token = driver.move, uuid4()
    began = time.perf_counter()
    try:
        looked = await ready.freezing.run(move.org_id, move.epoch, token, QUIET_MOMENT, lock_timeout_ms)
        if looked is None:
            return False
        driver.at(Step.FROZEN)
        first_transaction = await _bring_over(driver, ready, token)
    except BaseException:
        await _take_back(driver)
        raise
    await _send_everybody(driver, first_transaction)
    pause_ms = (time.perf_counter() - began - looked.total_seconds()) * 1000
    driver.at(Step.SWITCHED)
    driver.snapshot = ready.looking
    await driver.logbook.note_pause(move.id, pause_ms)
    driver.show(await driver.logbook.read(move.id))
    return True


async def _bring_over(driver: Driver, ready: Ready, token: UUID) -> int:
    """Wait for the last change, and open the target; returns the transaction that opened it."""
    move, book = driver.move, driver.logbook
    _, has_arrived = await asyncio.gather(
        book.enter_quickly(move.id, MoveState.FROZEN),
        copying.await_marker(ready.looking, move.org_id, token, ARRIVAL_SECONDS),
    )
    if not has_arrived:
        raise NotArrivedError
    driver.at(Step.MARKER_SEEN)
    _, first_transaction = await asyncio.gather(
        book.enter_quickly(move.id, MoveState.ARRIVED), ready.opening.run(move.org_id, move.epoch + 1)
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
