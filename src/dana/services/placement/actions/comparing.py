"""The proof: what was at the source when it was frozen was at the target before anybody wrote there.

The driver that switched still sees the target as it was then, and sums up its tables first, so that what it
has recorded stays exact when it dies. Without such a sum the rows that nobody has written since are compared;
rows that were written, or are gone, since then can't be, and are counted.
"""

from dana.services.placement.actions.driver import Driver
from dana.services.placement.models.comparison import Finding, compared, differing_buckets
from dana.services.placement.models.moves import Move, MoveState, Step, TableCheck
from dana.services.placement.store import checksums, placements, tables
from dana.services.placement.store.tables import Table

MARKERS = "platform.move_markers"


async def compare(driver: Driver) -> None:
    """Compare all tables, and end the move."""
    move = driver.move
    await _sum_up(driver)
    checks = {check.table: check for check in move.checks or []}
    is_cut = False
    for table in await _compared_tables(driver):
        is_cut = await driver.logbook.is_to_be_taken_back(move.id)
        if is_cut:
            break
        if table.name not in checks:
            checks[table.name] = await _check(driver, table)
            driver.show(await driver.logbook.keep_checks(move.id, list(checks.values())))
            driver.at(Step.COMPARED)
    for shard in (await driver.source(), await driver.target()):
        await placements.remove_markers(shard, move.org_id)
    driver.at(Step.UNMARKED)
    doubt = "The comparison was cut short by the move back." if is_cut else doubt_of(driver.move)
    state = MoveState.UNPROVEN if doubt else MoveState.VERIFIED
    driver.show(await driver.logbook.end(move.id, state, doubt))


async def compare_again(driver: Driver) -> list[TableCheck]:
    """Compare all tables of a move that has ended, and record what was found."""
    checks = [await _check(driver, table) for table in await _compared_tables(driver)]
    move = await driver.logbook.keep_checks(driver.move.id, checks)
    doubt = doubt_of(move)
    driver.show(move)
    await driver.enter(MoveState.UNPROVEN if doubt else MoveState.VERIFIED, doubt)
    return checks


def doubt_of(move: Move) -> str | None:
    """Say what could not be proven; None when everything could."""
    wrong = [check for check in move.checks or [] if check.differing]
    if wrong:
        named = ", ".join(f"{check.differing} of {check.table}" for check in wrong)
        return f"Rows differ between {move.source} and {move.target}: {named}. Look at the checks first."
    unseen = sum(check.changed + check.missing for check in move.checks or [])
    if all(check.is_exact for check in move.checks or []):
        return None
    return (
        f"The driver died after the switch, so the target as it was then is unknown: {unseen} rows that were"
        " changed or deleted since could not be compared; all others are the same."
    )


async def _compared_tables(driver: Driver) -> list[Table]:
    return [table for table in await tables.tables(await driver.source()) if table.name != MARKERS]


async def _sum_up(driver: Driver) -> None:
    """Record the sums of the target as it was at the switch, while this driver can still see it."""
    if driver.snapshot is not None:
        for table in await _compared_tables(driver):
            sums = await checksums.digests(driver.snapshot, table, driver.move.org_id, None)
            await driver.logbook.keep_digests(driver.move.id, table.name, sums)
        driver.at(Step.SUMMED_UP)


async def _check(driver: Driver, table: Table) -> TableCheck:
    """Compare sums first, and single rows only where those differ."""
    move, book = driver.move, driver.logbook
    source, target = await driver.source(), driver.snapshot or await driver.target()
    theirs = await book.digests(move.id, table.name)
    is_exact = theirs is not None
    before = None if driver.snapshot is not None else await book.first_transaction(move.id)
    if theirs is None:
        theirs = await checksums.digests(target, table, move.org_id, before)
    ours = await checksums.digests(source, table, move.org_id, None)
    finding = Finding()
    if buckets := differing_buckets(ours, theirs):
        async with (
            checksums.rows_of(source, table, move.org_id, buckets, None) as our_rows,
            checksums.rows_of(target, table, move.org_id, buckets, before) as their_rows,
        ):
            finding = await compared(our_rows, their_rows, is_complete=driver.snapshot is not None)
    return TableCheck(
        table=table.name,
        rows=sum(rows for rows, _ in ours.values()),
        # Sums of the very moment that differ are a difference, even if its row was overwritten since.
        differing=max(finding.differing, 1 if is_exact and buckets else 0),
        changed=0 if is_exact else finding.changed,
        missing=0 if is_exact else finding.missing,
        is_exact=is_exact or not (finding.changed or finding.missing),
        keys=finding.keys,
    )
