"""Time in: sleeping conversations wake, and a question the assistant left unanswered goes to a person."""

from datetime import UTC, datetime

import structlog

from dana.platform.errors import Problem
from dana.platform.identity import SYSTEM
from dana.platform.jobs import Periodic
from dana.platform.shards import Shards
from dana.services.conversations import actions
from dana.services.conversations.models.nouns import Due

CLOCK_SECONDS = 5.0

log = structlog.get_logger(__name__)


def jobs(shards: Shards) -> list[Periodic]:
    """Build this service's periodic jobs."""

    async def follow_clock() -> None:
        for shard in await shards.names():
            try:
                for due in await actions.find_due(shards, shard, datetime.now(UTC)):
                    await _follow(shards, due)
            except Problem as problem:  # a shard that is down must not stop the others
                log.warning("clock_failed", shard=shard, error=str(problem))

    return [Periodic("clock", CLOCK_SECONDS, follow_clock)]


async def _follow(shards: Shards, due: Due) -> None:
    try:
        async with shards.tx(due.org_id, SYSTEM) as tx:
            await actions.follow_clock(tx, due.conversation_id)
    except Problem as problem:  # neither must one organization, such as one that is being moved
        log.warning("clock_failed", organization=str(due.org_id), error=str(problem))
