"""A scheduler of the conformance suite in a process of its own: `python -m tests.conformance.timekeeper`.

It says `begun` when its job begins, and leaves a row for each run that ends.
"""

import asyncio
import sys

from dana.platform import jobs
from dana.platform.jobs import Cron, Scheduler
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.telemetry import configure_logging

NAME = "chime"
LEASE_SECONDS = 2.0
RUN_SECONDS = 0.15


async def keep_time() -> None:
    """Follow the schedule until killed."""
    configure_logging("ERROR")
    jobs.LEASE_SECONDS = LEASE_SECONDS
    jobs.LONGEST_LOOK_SECONDS = jobs.BUSY_LOOK_SECONDS = jobs.AWAY_SECONDS = 0.02
    shards = Shards(Settings.from_environment(), "conversations")
    pool = await shards.pool("shard1")

    async def chime() -> None:
        _say("begun")
        await asyncio.sleep(RUN_SECONDS)
        await pool.execute("insert into conformance.firings default values")

    scheduler = Scheduler("conformance", shards, [Cron(NAME, "17 3 1 1 *", chime)])
    await scheduler.start()
    _say("ready")
    await asyncio.Event().wait()


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(keep_time())
