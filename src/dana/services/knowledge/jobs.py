"""Time in: long jobs that ended long ago are forgotten."""

import structlog

from dana.platform.errors import Problem
from dana.platform.jobs import Periodic
from dana.platform.longjobs import LongJobs
from dana.platform.shards import Shards

TIDY_SECONDS = 60.0

log = structlog.get_logger(__name__)


def jobs(shards: Shards, long_jobs: LongJobs) -> list[Periodic]:
    """Build this service's periodic jobs."""

    async def tidy_long_jobs() -> None:
        for shard in await shards.names():
            try:
                await long_jobs.tidy(shard)
            except Problem as problem:  # a shard that is down must not stop the others
                log.warning("job_failed", job="tidy_long_jobs", shard=shard, error=str(problem))

    return [Periodic("tidy_long_jobs", TIDY_SECONDS, tidy_long_jobs)]
