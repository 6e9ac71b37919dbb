"""What every shard needs from time to time: partitions of the log, and the backlog's metrics."""

from dana.platform.jobs import Periodic
from dana.platform.shards import Shards
from dana.platform.telemetry import BACKLOG, OLDEST

WEEKS_AHEAD = 4
WEEKS_KEPT = 5  # how far back a client may resume, and a consumer may replay


def maintenance(shards: Shards) -> list[Periodic]:
    """Make the platform's own periodic jobs."""

    async def keep_event_log() -> None:
        for shard in await shards.names():
            pool = await shards.pool(shard)
            await pool.execute("select platform.keep_event_log($1, $2)", WEEKS_AHEAD, WEEKS_KEPT)

    async def measure_backlog() -> None:
        BACKLOG.clear()
        OLDEST.clear()
        for shard in await shards.names():
            pool = await shards.pool(shard)
            for row in await pool.fetch("select * from platform.backlog()"):
                labels = (shard, row["consumer_group"], row["lane"])
                BACKLOG.labels(*labels, row["state"]).set(row["deliveries"])
                if row["state"] == "ready":
                    OLDEST.labels(*labels).set(row["oldest_seconds"])

    return [
        Periodic("keep_event_log", 3600, keep_event_log),
        Periodic("measure_backlog", 15, measure_backlog),
    ]
