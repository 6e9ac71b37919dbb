"""Periodic jobs: one runner at a time, and a failing run doesn't end the job."""

import asyncio
from collections.abc import Callable

from dana.platform.jobs import Periodic, Scheduler
from dana.platform.shards import Shards


async def test_a_job_never_runs_in_two_places_at_once(shards_of: Callable[[str], Shards]) -> None:
    at_once, most_at_once, runs = 0, 0, 0

    async def run() -> None:
        nonlocal at_once, most_at_once, runs
        at_once += 1
        runs += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1

    job = Periodic("alone", 0.02, run)
    schedulers = [Scheduler("conversations", shards_of("conversations"), [job]) for _ in range(3)]
    for scheduler in schedulers:
        await scheduler.start()
    async with asyncio.timeout(20):
        while runs < 5:
            await asyncio.sleep(0.01)
    for scheduler in schedulers:
        await scheduler.stop()
    assert most_at_once == 1


async def test_a_job_that_fails_runs_again(shards_of: Callable[[str], Shards]) -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        raise RuntimeError("not today")

    scheduler = Scheduler("conversations", shards_of("conversations"), [Periodic("unlucky", 0.01, run)])
    await scheduler.start()
    async with asyncio.timeout(20):
        while runs < 3:
            await asyncio.sleep(0.01)
    await scheduler.stop()
