"""The copy: the target takes the organization's rows over, then follows every change."""

import asyncio
import time
from uuid import UUID, uuid4

from dana.contracts.ids import OrgId
from dana.platform.errors import Unavailable
from dana.services.placement.actions import watching
from dana.services.placement.actions.driver import Driver, GivenUpError
from dana.services.placement.actions.preparing import clear
from dana.services.placement.models.moves import MoveState, Progress, Step
from dana.services.placement.store import placements, replication, tables
from dana.services.placement.store.replication import Slot, Subscription
from dana.services.placement.store.sessions import Connection

POLL_SECONDS = 0.2
SMALL_LAG_BYTES = 1_000_000
REHEARSAL_SECONDS = 2.0
GOOD_REHEARSAL_SECONDS = 0.015  # as long would nobody be able to write
GOOD_ENOUGH_REHEARSAL_SECONDS = 0.2
REHEARSALS_FOR_GOOD = 50  # on a server that never gets faster, good enough must do
WORKER_PATIENCE_SECONDS = 30.0  # a worker that lost its connection is started again after five
SLOT_PATIENCE_SECONDS = 30.0
MARKER_POLL_SECONDS = 0.001


async def copy(driver: Driver) -> None:
    """Connect the two shards, unless that was done before, and wait until the target has everything."""
    name = replication.name_of(driver.move.id)
    if await replication.subscription(await driver.target(), name) is None:
        await _connect(driver, name)
    await follow(driver, name)
    await driver.enter(MoveState.SYNCED)


async def follow(driver: Driver, name: str) -> None:
    """Wait until all tables are copied and a change arrives within milliseconds; raises GivenUpError."""
    source, target = await driver.source(), await driver.target()
    org_id = driver.move.org_id
    expected = {
        table.name: await tables.expected_rows(source, table, org_id) for table in await tables.tables(source)
    }
    patience, rehearsals = time.monotonic() + WORKER_PATIENCE_SECONDS, 0
    while True:
        subscribed, slot = await look(driver, name)
        if subscribed.has_worker:
            patience = time.monotonic() + WORKER_PATIENCE_SECONDS
        elif time.monotonic() > patience:
            raise GivenUpError(f"No process of {driver.move.target} follows the changes; its log says why.")
        running = await replication.rows_being_copied(target, name)
        copied = sum(expected[table] for table in expected if table not in subscribed.unready)
        copied += sum(rows for table, rows in running.items() if table in subscribed.unready)
        await driver.note(
            Progress(
                rows_copied=copied,
                rows_expected=max(copied, sum(expected.values())),
                lag_bytes=slot.lag_bytes,
                held_bytes=slot.held_bytes,
            )
        )
        if not subscribed.unready and slot.lag_bytes < SMALL_LAG_BYTES:
            rehearsals += 1
            took = await _rehearse(driver)
            is_late = rehearsals > REHEARSALS_FOR_GOOD
            if took < (GOOD_ENOUGH_REHEARSAL_SECONDS if is_late else GOOD_REHEARSAL_SECONDS):
                driver.at(Step.REHEARSED)
                return
        await asyncio.sleep(POLL_SECONDS)


async def look(driver: Driver, name: str) -> tuple[Subscription, Slot]:
    """Look at both ends of the replication; raises GivenUpError when it can't go on."""
    move = driver.move
    slot = await replication.slot(await driver.source(), name)
    subscribed = await replication.subscription(await driver.target(), name)
    if slot is None:
        raise GivenUpError(
            f"{move.source} no longer keeps its log for this move; has its server failed over? Ask again."
        )
    if subscribed is None:
        raise GivenUpError(f"{move.target} no longer follows; somebody has dropped the subscription.")
    watching.HELD.labels(move.source, name).set(slot.held_bytes)
    if slot.is_lost:
        raise GivenUpError(f"{move.source} could not keep its log for as long as the move needs it.")
    if slot.held_bytes > watching.MOST_HELD_BYTES:
        raise GivenUpError(
            f"{move.source} keeps {slot.held_bytes:,} bytes of its log for this move; it may keep"
            f" {watching.MOST_HELD_BYTES:,}. {move.target} does not keep up."
        )
    if not subscribed.is_enabled:
        conflicts = await replication.conflicts(await driver.target(), name)
        raise GivenUpError(
            f"{move.target} refused the changes ({conflicts}); the log of its server says more."
        )
    return subscribed, slot


async def until_dropped(source: Connection, name: str) -> None:
    """Drop the slot, when its reader has ended; raises Unavailable."""
    patience = time.monotonic() + SLOT_PATIENCE_SECONDS
    while not await replication.drop_log(source, name):
        if time.monotonic() > patience:
            raise Unavailable("The source's log is still being read.")
        await asyncio.sleep(MARKER_POLL_SECONDS * 10)


async def await_marker(target: Connection, org_id: OrgId, token: UUID, seconds: float) -> bool:
    """Wait for a marker in the target; from then on the session sees exactly what had arrived with it."""
    patience = time.monotonic() + seconds
    while not await placements.look_for_marker(target, org_id, token):
        if time.monotonic() > patience:
            return False
        await asyncio.sleep(MARKER_POLL_SECONDS)
    return True


async def _connect(driver: Driver, name: str) -> None:
    """Connect the shards anew, removing what a driver that died may have left half done."""
    move = driver.move
    source, target = await driver.source(), await driver.target()
    await until_dropped(source, name)
    await replication.unpublish(source, name)
    await clear(target, move.org_id)
    await placements.remove_markers(target, move.org_id)
    await placements.mark(target, move.org_id, uuid4())
    await replication.publish(source, name, move.org_id, await tables.tables(source))
    driver.at(Step.PUBLISHED)
    await replication.keep_log(source, name)
    driver.at(Step.SLOT_MADE)
    await replication.subscribe(target, name, await driver.address(move.source))
    driver.at(Step.SUBSCRIBED)


async def _rehearse(driver: Driver) -> float:
    """Send a marker, and return the seconds it took."""
    source, target = await driver.source(), await driver.target()
    token = uuid4()
    began = time.perf_counter()
    await placements.mark(source, driver.move.org_id, token)
    try:
        await await_marker(target, driver.move.org_id, token, REHEARSAL_SECONDS)
    finally:
        await placements.end_look(target)
    return time.perf_counter() - began
