"""The beginning of a move: its turn, and the two shards made ready."""

import asyncio
from uuid import uuid4

from dana.contracts.ids import OrgId
from dana.platform.migrations import schema_kept
from dana.services.placement.actions.driver import Driver, GivenUpError
from dana.services.placement.models.moves import MoveState, Step
from dana.services.placement.store import placements, tables
from dana.services.placement.store.sessions import Connection

MOST_AT_ONCE = 2  # moves from or to one shard: each copies, and keeps two to seven processes of it busy
TURN_POLL_SECONDS = 0.5
PARTITION_TRIES = 20
REMOVAL_PAUSE_SECONDS = 0.01  # between two transactions that remove rows, for whoever else works there


async def await_turn(driver: Driver) -> None:
    """Begin when no migration runs and the two shards aren't busy with other moves."""
    while True:
        async with schema_kept(driver.desk.settings) as is_kept:
            begun = await driver.logbook.begin(driver.move, MOST_AT_ONCE) if is_kept else None
        if begun is not None:
            driver.show(begun)
            driver.at(Step.HELD)
            return
        why = (
            f"Waits for other moves from or to {driver.move.source} or {driver.move.target}."
            if is_kept
            else "Waits for the end of the migration that is running."
        )
        driver.show(await driver.logbook.note_error(driver.move.id, why))
        driver.heed_abort()
        await asyncio.sleep(TURN_POLL_SECONDS)


async def prepare(driver: Driver) -> None:
    """Compare the shards, close the organization at the target, and remove an earlier move's rows there."""
    move = driver.move
    source, target = await driver.source(), await driver.target()
    if await tables.schema(source) != await tables.schema(target):
        raise GivenUpError(
            f"{move.source} and {move.target} have not run the same migrations: run `dana migrate` first."
        )
    if not await placements.is_living_here(source, move.org_id, move.epoch):
        raise GivenUpError(f"The organization does not work on {move.source} at epoch {move.epoch}.")
    for table in await tables.tables(source):
        if refusal := table.refusal():
            raise GivenUpError(refusal)
    if not await placements.expect(target, move.org_id, move.epoch + 1):
        raise GivenUpError(f"{move.target} has had the organization at a later epoch than {move.epoch + 1}.")
    driver.at(Step.EXPECTED)
    await driver.logbook.close_copies(move.org_id, move.target)
    await clear(target, move.org_id)
    driver.at(Step.CLEARED)
    await placements.mark(source, move.org_id, uuid4())
    await placements.mark(target, move.org_id, uuid4())
    await _adopt_partitions(source, target)
    driver.at(Step.MARKED)
    await driver.enter(MoveState.COPYING)


async def clear(shard: Connection, org_id: OrgId) -> None:
    """Remove all rows of an organization that doesn't work on this shard."""
    for leaf in await tables.leaves(shard):
        removed = await tables.remove_some_rows(shard, org_id, leaf)
        while removed == tables.ROWS_AT_ONCE:
            await asyncio.sleep(REMOVAL_PAUSE_SECONDS)
            removed = await tables.remove_some_rows(shard, org_id, leaf)


async def _adopt_partitions(source: Connection, target: Connection) -> None:
    """Give the target's log the partitions of the source's, so that old events end there as well.

    A younger shard lacks those of the weeks before it was made. What finds no partition goes to the default.
    """
    known = await tables.log_partitions(target)
    for name, bound in (await tables.log_partitions(source)).items():
        tries = 0 if name in known else PARTITION_TRIES
        while tries and not await tables.add_log_partition(target, name, bound):
            tries -= 1
            await asyncio.sleep(REMOVAL_PAUSE_SECONDS)
