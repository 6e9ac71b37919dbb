"""A worker in a process of its own, to be killed: `python -m tests.platform.longjobs.worker CHUNKS`.

It says `ready` when it has subscribed, and `chunk` in the middle of each.
"""

import asyncio
import sys

from dana.contracts.events import EVENTS_BY_TYPE
from dana.platform.bus import pace
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.telemetry import configure_logging
from tests.platform.longjobs.rehearsal import Counting, RehearsalAdvanced, working

LEASE_SECONDS = 0.6  # so that what a killed one has begun is taken up again soon


async def work(chunks: int) -> None:
    """Do chunks until somebody kills it."""
    configure_logging("ERROR")
    pace.LEASE_SECONDS = LEASE_SECONDS
    EVENTS_BY_TYPE["rehearsal_advanced"] = RehearsalAdvanced
    counting = Counting(Shards(Settings.from_environment(), "conversations"), chunks)
    counting.seconds = 0.03
    counting.on_chunk = lambda: _say("chunk")
    async with working(counting.shards, counting):
        _say("ready")
        await asyncio.Event().wait()


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work(int(sys.argv[1])))
