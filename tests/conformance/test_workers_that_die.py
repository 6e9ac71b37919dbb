"""Workers that are killed, stand still, or come and go: the day comes to the same."""

import asyncio
import signal
from collections.abc import Callable

from dana.platform.shards import Shards
from tests.conformance.days import Day
from tests.conformance.staff import PACE, Staff

ShardsOf = Callable[[str], Shards]


async def test_a_worker_that_is_killed_at_work_costs_nothing_but_time(
    shards_of: ShardsOf, staff: Staff, day: Day
) -> None:
    survivor, *victims = await asyncio.gather(*(staff.hire() for _ in range(4)))
    happening = asyncio.create_task(day.happen(shards_of("auth"), 0.05))
    await asyncio.gather(*(victim.killed_at_work() for victim in victims))
    successor = await staff.hire()
    await happening
    assert await day.end() == day.undisturbed
    await asyncio.gather(survivor.leave(), successor.leave())


async def test_the_only_worker_is_killed_and_the_next_one_finds_everything(
    shards_of: ShardsOf, staff: Staff, day: Day
) -> None:
    victim = await staff.hire()
    happening = asyncio.create_task(day.happen(shards_of("auth")))
    await victim.killed_at_work()
    await happening
    await staff.hire()
    assert await day.end() == day.undisturbed


async def test_what_a_worker_that_stood_still_wakes_up_with_is_delivered_twice_and_counts_once(
    shards_of: ShardsOf, staff: Staff, day: Day
) -> None:
    frozen = await staff.hire()
    happening = asyncio.create_task(day.happen(shards_of("auth")))
    await frozen.says("begun")
    frozen.process.send_signal(signal.SIGSTOP)
    await happening
    await staff.hire()
    await asyncio.sleep(PACE["LEASE_SECONDS"] + 0.5)  # what it held has been delivered to the other one
    frozen.process.send_signal(signal.SIGCONT)
    assert await day.end() == day.undisturbed
    await asyncio.sleep(0.5)  # for whatever the first one still believes that it has to do
    assert await day.digest() == day.undisturbed
    await frozen.leave()
