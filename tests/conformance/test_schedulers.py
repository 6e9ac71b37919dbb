"""Two schedulers in processes of their own: each occurrence fires once, whoever dies, be it the database."""

import asyncio
from pathlib import Path

import pytest

from dana.platform.settings import Settings
from tests.conformance.clock import Clock
from tests.conformance.conftest import Server
from tests.conformance.staff import Staff
from tests.conformance.timekeeper import LEASE_SECONDS

AFTER_THE_LEASE_SECONDS = LEASE_SECONDS + 0.5
WITHOUT_BROKER = pytest.mark.parametrize("binding_name", ["postgresql"], indirect=True, scope="session")
"""A crash of the database costs seconds, and schedules know of no broker."""


@pytest.fixture
def clock(settings: Settings, tmp_path: Path) -> Clock:
    return Clock(settings, tmp_path / "book")


async def test_two_schedulers_fire_each_occurrence_once(staff: Staff, clock: Clock) -> None:
    await asyncio.gather(staff.hire_timekeeper(clock.book), staff.hire_timekeeper(clock.book))
    for n in range(1, 11):
        await clock.strike()
        await clock.runs(n)


async def test_a_scheduler_that_is_killed_at_work_is_replaced_by_the_other(
    staff: Staff, clock: Clock
) -> None:
    victim = await staff.hire_timekeeper(clock.book)
    await clock.strike()
    await victim.killed_at_work()
    await staff.hire_timekeeper(clock.book)
    await clock.runs(1)
    await clock.strike()
    await clock.runs(2)


@WITHOUT_BROKER
async def test_schedulers_go_on_by_themselves_after_the_database_crashed(
    staff: Staff, clock: Clock, server: Server
) -> None:
    await asyncio.gather(staff.hire_timekeeper(clock.book), staff.hire_timekeeper(clock.book))
    await clock.strike()
    await clock.runs(1)
    await clock.strike(seconds_later=0.5)  # the server is away at that moment
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(0.6)
    await asyncio.to_thread(server.start)
    await clock.runs(2)
    await clock.strike()
    await clock.runs(3)


@WITHOUT_BROKER
async def test_a_run_that_ends_while_the_database_is_away_is_not_repeated(
    staff: Staff, clock: Clock, server: Server
) -> None:
    one, other = await asyncio.gather(*(staff.hire_timekeeper(clock.book, 0.4) for _ in range(2)))
    await clock.strike()
    await asyncio.wait(
        [asyncio.create_task(hand.says("begun")) for hand in (one, other)],
        return_when=asyncio.FIRST_COMPLETED,
    )
    await asyncio.to_thread(server.kill)
    await clock.runs(1)
    await asyncio.to_thread(server.start)
    await clock.runs(1, quiet_seconds=AFTER_THE_LEASE_SECONDS)
    await clock.strike()
    await clock.runs(2)
