"""Recurring jobs: each occurrence once, in one place; what was missed, failed or cut is made up for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Self

import asyncpg
import pytest
from cronsim import CronSimError

from dana.contracts.ids import new_id
from dana.platform import jobs as jobs_module
from dana.platform.database import address
from dana.platform.jobs import Cron, Periodic, Recurring, Scheduler
from dana.platform.servers import CATALOG, administer
from dana.platform.settings import Settings
from dana.platform.shards import Shards

ShardsOf = Callable[[str], Shards]


def named() -> str:
    """A name of its own for each test's job."""
    return f"job-{new_id()}"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def set_due(settings: Settings, name: str, due_at: datetime) -> None:
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        await catalog.execute(
            "update platform.schedules set due_at = $2 where name = $1", f"conversations.{name}", due_at
        )


async def schedule(settings: Settings, name: str) -> asyncpg.Record:
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        row = await catalog.fetchrow(
            "select * from platform.schedules where name = $1", f"conversations.{name}"
        )
    assert row is not None
    return row


class Running:
    """Some schedulers with the same jobs, as in as many processes."""

    def __init__(self, shards: Shards, job: Recurring, count: int = 1) -> None:
        self.schedulers = [Scheduler("conversations", shards, [job]) for _ in range(count)]

    async def __aenter__(self) -> Self:
        for scheduler in self.schedulers:
            await scheduler.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for scheduler in self.schedulers:
            await scheduler.stop()


async def test_a_job_never_runs_in_two_places_at_once(shards_of: ShardsOf) -> None:
    at_once, most_at_once, runs = 0, 0, 0

    async def run() -> None:
        nonlocal at_once, most_at_once, runs
        at_once += 1
        runs += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1

    async with Running(shards_of("conversations"), Periodic(named(), 0.02, run), 3):
        await until(lambda: runs >= 5)
    assert most_at_once == 1


async def test_a_job_that_fails_runs_again(shards_of: ShardsOf) -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        raise RuntimeError("not today")

    async with Running(shards_of("conversations"), Periodic(named(), 0.01, run)):
        await until(lambda: runs >= 3)


async def test_a_cron_job_is_due_when_its_expression_says_so(shards_of: ShardsOf, settings: Settings) -> None:
    name = named()
    async with Running(shards_of("conversations"), Cron(name, "17 3 * * *", _nothing)):
        await _registered(settings, name)
    due_at = (await schedule(settings, name))["due_at"]
    assert (due_at.hour, due_at.minute, due_at.second) == (3, 17, 0)
    assert timedelta(0) < due_at - datetime.now(UTC) <= timedelta(days=1)


def test_an_expression_that_says_nothing_is_refused() -> None:
    with pytest.raises(CronSimError):
        Cron("never", "61 * * * *", _nothing)


async def test_what_was_missed_for_days_runs_once_and_late(
    shards_of: ShardsOf, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "LONGEST_LOOK_SECONDS", 0.02)
    name, runs = named(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    job = Cron(name, "17 3 * * *", run)
    async with Running(shards_of("conversations"), job):
        await _registered(settings, name)
    await set_due(settings, name, datetime.now(UTC) - timedelta(days=3))
    async with Running(shards_of("conversations"), job, 4):
        await until(lambda: runs == 1)
        await asyncio.sleep(0.3)
    assert runs == 1
    assert (await schedule(settings, name))["due_at"] > datetime.now(UTC)


async def test_many_occurrences_run_once_each_though_five_schedulers_wait_for_them(
    shards_of: ShardsOf, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "LONGEST_LOOK_SECONDS", 0.005)
    name, runs = named(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    async with Running(shards_of("conversations"), Cron(name, "17 3 * * *", run), 5):
        await _registered(settings, name)
        for n in range(1, 16):
            await set_due(settings, name, datetime.now(UTC) - timedelta(seconds=1))
            await until(lambda: runs >= n)  # noqa: B023 - it is asked before the next round
            await asyncio.sleep(0.02)
            assert runs == n


async def test_a_run_that_is_cut_is_repeated_by_somebody_else_at_once(
    shards_of: ShardsOf, settings: Settings
) -> None:
    name, begun, ended = named(), 0, 0
    is_cut = True

    async def run() -> None:
        nonlocal begun, ended
        begun += 1
        await asyncio.sleep(3600 if is_cut else 0)
        ended += 1

    job = Cron(name, "17 3 * * *", run)
    async with Running(shards_of("conversations"), job):
        await _registered(settings, name)
    await set_due(settings, name, datetime.now(UTC))
    async with Running(shards_of("conversations"), job):
        await until(lambda: begun == 1)
        is_cut = False
    async with Running(shards_of("conversations"), job):
        await until(lambda: ended == 1)


async def test_connections_that_are_cut_while_it_runs_make_no_second_run(
    shards_of: ShardsOf, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "LEASE_SECONDS", 4.0)
    monkeypatch.setattr(jobs_module, "AWAY_SECONDS", 0.05)
    monkeypatch.setattr(jobs_module, "BUSY_LOOK_SECONDS", 0.05)
    name, begun = named(), 0
    may_end = asyncio.Event()

    async def run() -> None:
        nonlocal begun
        begun += 1
        await may_end.wait()

    async with Running(shards_of("conversations"), Periodic(name, 0.05, run), 3):
        await until(lambda: begun == 1)
        async with administer(settings.database_url) as admin:
            for _ in range(10):
                await admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where usename = 'dana_conversations'"
                )
                await asyncio.sleep(0.2)
        assert begun == 1
        may_end.set()
        await until(lambda: begun > 1)


async def test_another_rhythm_begins_anew(shards_of: ShardsOf, settings: Settings) -> None:
    name = named()
    async with Running(shards_of("conversations"), Cron(name, "17 3 * * *", _nothing)):
        await _registered(settings, name)
    async with Running(shards_of("conversations"), Cron(name, "18 4 * * *", _nothing)):
        async with asyncio.timeout(20):
            while (await schedule(settings, name))["rhythm"] != "18 4 * * *":
                await asyncio.sleep(0.01)
    assert (await schedule(settings, name))["due_at"].hour == 4


async def _nothing() -> None:
    pass


async def _registered(settings: Settings, name: str) -> None:
    question: Awaitable[asyncpg.Record]
    async with asyncio.timeout(20):
        while True:
            question = schedule(settings, name)
            try:
                await question
            except AssertionError:
                await asyncio.sleep(0.01)
            else:
                return
