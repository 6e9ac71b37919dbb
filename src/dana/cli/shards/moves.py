"""`dana shards move`, `moves`, `show`, `abort`, `rollback`, `verify`, `purge`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from rich.text import Text

from dana.cli.shards.desk import at_desk
from dana.cli.shards.showing import Watching, show_checks, show_move, show_moves
from dana.cli.terminal import console, fail, is_terminal, print_json
from dana.contracts.ids import OrgId
from dana.platform.errors import Problem
from dana.services.placement.actions import moving, registry
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.moves import Move, MoveId, MoveState, TableCheck

PAGE = 100
LEFT_ALONE = "You no longer watch; the move goes on while Dana runs. See `dana shards moves`."


def move(data_dir: Path, org: str, target: str) -> None:
    """Move an organization, and watch."""

    async def run(desk: Desk) -> bool:
        organization = await registry.find_organization(desk, org)
        asked = await moving.request(desk, organization.id, target)
        return await drive_to_the_end(desk, asked, organization.name)

    _end_well(at_desk(data_dir, run, interrupted=LEFT_ALONE))


def list_moves(data_dir: Path, *, only_open: bool) -> None:
    """List moves."""

    async def run(desk: Desk) -> tuple[list[Move], dict[OrgId, str]]:
        found = await moving.list_moves(desk, only_open=only_open)
        return found, await registry.names_of(desk, [each.org_id for each in found])

    show_moves(*at_desk(data_dir, run))


def show(data_dir: Path, move_id: UUID, *, is_followed: bool) -> None:
    """Show one move, or stay until it has ended."""

    async def run(desk: Desk) -> bool:
        found = await moving.find(desk, MoveId(move_id))
        name = (await registry.names_of(desk, [found.org_id])).get(found.org_id, "")
        if is_followed and not found.is_ended:
            return await drive_to_the_end(desk, found, name)
        show_move(found, name)
        return True

    _end_well(at_desk(data_dir, run, interrupted=LEFT_ALONE))


def abort(data_dir: Path, move_id: UUID) -> None:
    """Abort a move, and wait until that has happened."""

    async def run(desk: Desk) -> bool:
        found = await moving.abort(desk, MoveId(move_id))
        with Watching() as watching:
            ended = await moving.drive(desk, found.id, watching)
            watching.ended(ended, await _sentence(desk, ended, ""))
        return ended.state == MoveState.ABORTED

    _end_well(at_desk(data_dir, run, interrupted="The abort goes on while Dana runs."))


def rollback(data_dir: Path, move_id: UUID) -> None:
    """Move an organization back, and watch."""

    async def run(desk: Desk) -> bool:
        back = await moving.rollback(desk, MoveId(move_id))
        name = (await registry.names_of(desk, [back.org_id])).get(back.org_id, "")
        return await drive_to_the_end(desk, back, name)

    _end_well(at_desk(data_dir, run, interrupted=LEFT_ALONE))


def verify(data_dir: Path, move_id: UUID) -> None:
    """Compare both copies."""

    async def run(desk: Desk) -> tuple[list[TableCheck], Move]:
        checks = await moving.verify(desk, MoveId(move_id))
        return checks, await moving.find(desk, MoveId(move_id))

    checks, found = at_desk(data_dir, run)
    show_checks(checks)
    if is_terminal():
        said = "Every row had arrived as it was." if found.is_proven else found.error or "It is not proven."
        console.print(Text(said, style="green" if found.is_proven else "red"), soft_wrap=True)
    _end_well(found.is_proven)


def purge(data_dir: Path, move_ids: Sequence[UUID], left: str | None, *, accept_unproven: bool) -> None:
    """Delete what moves have left behind."""
    if bool(move_ids) == bool(left):
        fail("Say which moves, or with --from from which shard.")

    async def run(desk: Desk) -> bool:
        wanted = list(map(MoveId, move_ids)) or await _left_on(desk, left or "")
        if not wanted and is_terminal():
            console.print(f"No copy is left on {left}.")
        failures = 0
        for move_id in wanted:
            try:
                _say_purged(await moving.purge(desk, move_id, accept_unproven=accept_unproven))
            except Problem as problem:
                if len(wanted) == 1:
                    raise
                failures += 1
                _say_kept(move_id, problem)
        return not failures

    _end_well(at_desk(data_dir, run))


async def drive_to_the_end(desk: Desk, asked: Move, name: str) -> bool:
    """Drive a move and show how it goes on; tells whether it ended as wanted."""
    with Watching() as watching:
        ended = await moving.drive(desk, asked.id, watching)
        watching.ended(ended, await _sentence(desk, ended, name))
    if is_terminal() and ended.state == MoveState.VERIFIED:
        console.print(f"  Back again: dana shards rollback {ended.id}", style="dim")
        console.print(f"  Delete the copy on {ended.source}: dana shards purge {ended.id}", style="dim")
    return ended.state == MoveState.VERIFIED


async def _sentence(desk: Desk, ended: Move, name: str) -> str:
    """Say how a move ended."""
    who = name or (await registry.names_of(desk, [ended.org_id])).get(ended.org_id) or str(ended.org_id)
    return sentence_of(ended, who)


def sentence_of(ended: Move, who: str) -> str:
    """Say how a move ended."""
    if ended.state == MoveState.ABORTED:
        return f"{who} stays on {ended.source}: {ended.error or 'the move was aborted.'}"
    pause = "" if ended.write_pause_ms is None else f"; nobody could write for {ended.write_pause_ms:.0f} ms"
    proof = "every row compared" if ended.is_proven else f"not every row is proven: {ended.error}"
    return f"{who} lives on {ended.target}: {ended.rows_copied:,} rows copied, {proof}{pause}."


async def _left_on(desk: Desk, shard: str) -> list[MoveId]:
    """Find all moves whose copy is still on a shard."""
    await registry.find_shard(desk, shard)
    found: list[MoveId] = []
    before = None
    while page := await moving.list_moves_before(desk, before, PAGE, only_open=False):
        found += [
            each.id
            for each in page
            if each.source == shard and each.state in {MoveState.VERIFIED, MoveState.UNPROVEN}
        ]
        before = page[-1].id
    return found


def _say_purged(purged: Move) -> None:
    if is_terminal():
        console.print(
            f"[green]✓[/green] The copy of {purged.org_id} on {purged.source} is deleted.", soft_wrap=True
        )
    else:
        print_json(purged)


def _say_kept(move_id: MoveId, problem: Problem) -> None:
    if is_terminal():
        console.print("[red]✗[/red]", Text(f"{move_id}: {problem.detail}"), soft_wrap=True)
    else:
        print_json({"move": move_id, "error": problem.detail})


def _end_well(is_well: bool) -> None:
    if not is_well:
        sys.exit(1)
