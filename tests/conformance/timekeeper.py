"""A scheduler in a process of its own: `python -m tests.conformance.timekeeper BOOK SECONDS`.

It says `begun` when its job begins, and writes a line into the book for each run that ends, so that runs are
counted also while no database is there.
"""

import asyncio
import sys
from pathlib import Path

from dana.platform import jobs
from dana.platform.jobs import Cron, Scheduler
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.telemetry import configure_logging

NAME = "chime"
LEASE_SECONDS = 2.0


async def keep_time(book: Path, run_seconds: float) -> None:
    """Follow the schedule until killed."""
    configure_logging("ERROR")
    jobs.LEASE_SECONDS = LEASE_SECONDS
    jobs.LONGEST_LOOK_SECONDS = jobs.BUSY_LOOK_SECONDS = jobs.AWAY_SECONDS = 0.02
    shards = Shards(Settings.from_environment(), "conversations")

    async def chime() -> None:
        _say("begun")
        await asyncio.sleep(run_seconds)
        with book.open("a") as lines:
            lines.write("ended\n")

    scheduler = Scheduler("conformance", shards, [Cron(NAME, "17 3 1 1 *", chime)])
    await scheduler.start()
    _say("ready")
    await asyncio.Event().wait()


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(keep_time(Path(sys.argv[1]), float(sys.argv[2])))
