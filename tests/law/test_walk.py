"""Thousands of actions at random, with cuts, kills and replays in between: the law holds for everybody.

`LAW_ACTIONS` says how many. `LAW_SEED` repeats a walk as far as one of many people at once can be repeated.
"""

import asyncio
import json
import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from dana.platform.shards import Shards
from tests.law import world as worlds
from tests.law.deeds import begin, found
from tests.law.followers import Follower
from tests.law.state import Json
from tests.law.walk import Walk
from tests.law.world import World

ACTIONS = int(os.environ.get("LAW_ACTIONS", "2000"))
STEPS = 5
WEB = Path(__file__).parents[2] / "web"
SECONDS = 600.0 + ACTIONS


@pytest.mark.timeout(SECONDS)
async def test_all_that_is_applied_is_all_that_is_fetched(tmp_path: Path) -> None:
    seed = int(os.environ.get("LAW_SEED", secrets.randbits(32)))
    print(f"LAW_SEED={seed}")  # noqa: T201 - shown when it fails
    async with worlds.made() as world:
        walk = Walk(world, random.Random(seed))  # noqa: S311 - a walk
        shards = Shards(world.settings, "realtime")
        late = await _settle(walk)
        try:
            await _walk(walk, shards, late, tmp_path)
        finally:
            for follower in _all(walk):
                await follower.stop()
            await shards.close()
    _tell(walk)
    assert late.resyncs >= 1, "who came too late must have fetched anew"
    assert sum(follower.repeats for follower in _all(walk))
    await asyncio.to_thread(_show_to_the_browser, tmp_path / "sample.json")


async def _settle(walk: Walk) -> Follower:
    """Found the companies; two members and two visitors follow each, and one who will come too late."""
    for name in ("Ana", "Bea", "Cleo"):
        company = await found(walk.world, name, walk.dice)
        walk.companies.append(company)
        for _ in range(3):
            await begin(company, walk.dice)
        await walk.follow(company, f"{name}, steady", company.owner_token, is_admin=True)
        await walk.follow(company, f"{name}, agent", company.agent_token, is_admin=False)
        for number in range(2):
            await walk.follow_as_visitor(company, number)
    first = walk.companies[0]
    return await walk.follow(first, "Ana, late", first.owner_token, is_admin=True)


async def _walk(walk: Walk, shards: Shards, late: Follower, folder: Path) -> None:
    """Take the steps; the browser is shown what one organization went through in the last three."""
    first = walk.companies[0]
    steady = walk.followers[first.org_id][0]
    begun: tuple[Json, int] = ({}, 0)
    for step, disaster in enumerate(_disasters(walk.world)):
        if step == 1:
            late.cut()
            late.is_away = True
        await walk.act(ACTIONS // STEPS, disaster)
        if step == STEPS - 2:
            await walk.compare(shards)
            await _come_too_late(walk, late)
        await walk.compare(shards)
        if step == 1:
            begun = walk.shown[first.org_id]
    (before, start), (after, end) = begun, walk.shown[first.org_id]
    events = [event for at, event in steady.events if start < at <= end]
    played = {"before": before, "events": events, "after": after}
    (folder / "sample.json").write_text(json.dumps(played))


def _disasters(world: World) -> list[Callable[[], Coroutine[Any, Any, None]] | None]:
    return [None, lambda: world.restart_node(0), world.restart_valkey, lambda: world.restart_node(1), None]


async def _come_too_late(walk: Walk, late: Follower) -> None:
    """Come back when neither Valkey nor the log reaches back so far."""
    company = walk.companies[0]
    newest = max(walk.logs[company.org_id])
    await walk.world.forget_events(company.org_id, newest)
    late.is_away = False


def _show_to_the_browser(sample: Path) -> None:
    node = shutil.which("node", path=f"{WEB.parent}/.venv/bin{os.pathsep}{os.environ['PATH']}")
    assert node, "Node is missing: run `make setup`"
    run = subprocess.run(
        [node, "node_modules/vitest/vitest.mjs", "run", "src/law.test.ts"],
        cwd=WEB,
        env=os.environ | {"LAW_SAMPLE": str(sample)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout[-6_000:] + run.stderr[-3_000:]


def _all(walk: Walk) -> list[Follower]:
    return [follower for some in walk.followers.values() for follower in some]


def _tell(walk: Walk) -> None:
    followers = _all(walk)
    numbers = {
        "actions": sum(company.done for company in walk.companies),
        "unavailable": sum(company.unavailable for company in walk.companies),
        "events": sum(len(log) for log in walk.logs.values()),
        "arrivals": sum(one.arrivals for one in followers),
        "repeats": sum(one.repeats for one in followers),
        "resyncs": sum(one.resyncs for one in followers),
        "comparisons": walk.checks * len(followers),
    }
    print(json.dumps(numbers))  # noqa: T201 - shown with -s
