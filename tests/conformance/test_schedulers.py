"""Two schedulers in processes of their own: each occurrence fires once, whoever dies."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from dana.platform.database import address
from dana.platform.servers import CATALOG
from dana.platform.settings import Settings
from tests.conformance.staff import Staff
from tests.conformance.timekeeper import NAME


class Clock:
    """What the installation's schedule says, and how often the job has run."""

    def __init__(self, catalog: asyncpg.Connection, shard: asyncpg.Connection) -> None:
        self._catalog = catalog
        self._shard = shard

    async def strike(self) -> None:
        """Let the next occurrence be now."""
        async with asyncio.timeout(20):
            while (
                await self._catalog.execute(
                    "update platform.schedules set due_at = clock_timestamp()"
                    " where name = $1 and running_until is null",
                    f"conformance.{NAME}",
                )
                == "UPDATE 0"
            ):
                await asyncio.sleep(0.02)

    async def runs(self, count: int) -> None:
        """Wait until the job has run so often; and see that it doesn't run once more."""
        async with asyncio.timeout(30):
            while await self._count() < count:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert await self._count() == count

    async def _count(self) -> int:
        return int(await self._shard.fetchval("select count(*) from conformance.firings"))


@pytest.fixture
async def clock(settings: Settings) -> AsyncIterator[Clock]:
    catalog = await asyncpg.connect(address(settings.database_url, database=CATALOG))
    shard = await asyncpg.connect(address(settings.database_url, database="dana_shard1"))
    await shard.execute("truncate conformance.firings")
    yield Clock(catalog, shard)
    await catalog.close()
    await shard.close()


async def test_two_schedulers_fire_each_occurrence_once(staff: Staff, clock: Clock) -> None:
    await asyncio.gather(staff.hire_timekeeper(), staff.hire_timekeeper())
    for n in range(1, 11):
        await clock.strike()
        await clock.runs(n)


async def test_a_scheduler_that_is_killed_at_work_is_replaced_by_the_other(
    staff: Staff, clock: Clock
) -> None:
    victim = await staff.hire_timekeeper()
    await clock.strike()
    await victim.killed_at_work()
    await staff.hire_timekeeper()
    await clock.runs(1)
    await clock.strike()
    await clock.runs(2)
