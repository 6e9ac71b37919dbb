"""`dana shards drain` and `rebalance`: many moves, one after another."""

import sys
from pathlib import Path

from rich.text import Text

from dana.cli.shards.desk import at_desk
from dana.cli.shards.moves import sentence_of
from dana.cli.shards.showing import Watching, show_plan
from dana.cli.terminal import console, is_terminal, print_json
from dana.platform.errors import Problem
from dana.services.placement.actions import draining, rebalancing, registry
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.moves import Move, MoveState


def drain(data_dir: Path, shard: str) -> None:
    """Move everybody away from a shard; ends with 1 when somebody had to stay."""

    async def run(desk: Desk) -> int:
        waiting = await draining.close_for_drain(desk, shard)
        stayed = 0
        with Watching(of=waiting) as watching:
            async for ended in draining.drain(desk, shard, watching):
                stayed += ended.state == MoveState.ABORTED
                watching.ended(ended, await _sentence(desk, ended))
        return stayed

    stayed = at_desk(
        data_dir,
        run,
        interrupted=f"Stopped; {shard} stays closed, and a move that has begun goes on while Dana runs. "
        f"`dana shards drain {shard}` goes on; `dana shards open {shard}` changes your mind.",
    )
    _say({"drained": shard, "stayed": stayed}, _drained(shard, stayed))
    if stayed:
        sys.exit(1)


def rebalance(data_dir: Path, tolerance: float, *, is_applied: bool) -> None:
    """Plan moves that even out the load, and carry them out if wanted."""

    async def run(desk: Desk) -> int:
        plan = await rebalancing.plan_moves(desk, tolerance)
        show_plan(plan, await registry.names_of(desk, [move.org_id for move in plan.moves]))
        if not (is_applied and plan.moves):
            return 0
        failures = 0
        with Watching(of=len(plan.moves)) as watching:
            for planned in plan.moves:
                ended = await rebalancing.apply(desk, planned, watching)
                failures += ended.state != MoveState.VERIFIED
                watching.ended(ended, await _sentence(desk, ended))
        return failures

    failures = at_desk(
        data_dir,
        run,
        interrupted="Stopped; a move that has begun goes on while Dana runs. Plan again for the rest.",
    )
    if failures:
        sys.exit(1)


async def _sentence(desk: Desk, ended: Move) -> str:
    try:
        names = await registry.names_of(desk, [ended.org_id])
    except Problem:  # the move is what counts
        names = {}
    return sentence_of(ended, names.get(ended.org_id) or str(ended.org_id))


def _drained(shard: str, stayed: int) -> str:
    if stayed:
        return f"{stayed} organizations had to stay on {shard}; the same command tries again."
    return (
        f"Nobody lives on {shard} any more. When you need no way back: `dana shards purge --from {shard}`, "
        f"then `dana shards remove {shard}`."
    )


def _say(for_scripts: object, for_people: str) -> None:
    if is_terminal():
        console.print(Text(for_people), soft_wrap=True)
    else:
        print_json(for_scripts)
