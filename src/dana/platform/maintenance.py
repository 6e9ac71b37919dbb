"""What every shard needs from time to time: partitions of the log, and the backlog's metrics."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import structlog

from dana.platform.database import outages_are_problems
from dana.platform.errors import Problem
from dana.platform.jobs import Cron, Periodic, Recurring
from dana.platform.shards import Shards
from dana.platform.telemetry import BACKLOG, OLDEST

WEEKS_AHEAD = 4
WEEKS_KEPT = 5  # how far back a client may resume, and a consumer may replay

SHARES_KEPT = timedelta(days=1)  # of who hasn't been served for a day, the lane needs to remember nothing

log = structlog.get_logger(__name__)


def maintenance(shards: Shards) -> list[Recurring]:
    """Make the platform's own recurring jobs."""

    async def keep_event_log() -> None:
        for shard in await shards.names():
            with _others_go_on(shard):
                pool = await shards.pool(shard)
                await pool.execute("select platform.keep_event_log($1, $2)", WEEKS_AHEAD, WEEKS_KEPT)
                await pool.execute("select platform.forget_shares($1)", SHARES_KEPT)

    async def measure_backlog() -> None:
        BACKLOG.clear()
        OLDEST.clear()
        for shard in await shards.names():
            with _others_go_on(shard):
                pool = await shards.pool(shard)
                for row in await pool.fetch("select * from platform.backlog()"):
                    labels = (shard, row["consumer_group"], row["lane"])
                    BACKLOG.labels(*labels, row["state"]).set(row["deliveries"])
                    if row["state"] == "ready":
                        OLDEST.labels(*labels).set(row["oldest_seconds"])

    return [
        Cron("keep_event_log", "23 * * * *", keep_event_log),
        Periodic("measure_backlog", 15, measure_backlog),
    ]


@contextlib.contextmanager
def _others_go_on(shard: str) -> Iterator[None]:
    """Let a shard that is down, or busy, be looked after the next time."""
    try:
        with outages_are_problems():
            yield
    except (Problem, OSError, asyncpg.PostgresError) as error:
        log.warning("upkeep_failed", shard=shard, error=repr(error))
