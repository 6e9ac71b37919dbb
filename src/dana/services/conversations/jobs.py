"""Time in: sleeping conversations wake, unanswered questions go to a person, search and files are tidied."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from dana.contracts.ids import OrgId
from dana.platform.database import Tx
from dana.platform.errors import Problem
from dana.platform.identity import SYSTEM
from dana.platform.jobs import Periodic
from dana.platform.shards import Shards
from dana.services.conversations import actions

CLOCK_SECONDS = 5.0
TIDY_SECONDS = 2.0  # a search reads what was written since: a tenth of a millisecond for each 500 messages
LONG_JOBS_SECONDS = 60.0  # a file that has expired can't be fetched; this only makes room
KEYLESS_SECONDS = 30.0  # there are messages without keys after an upgrade only

About = TypeVar("About")
Result = TypeVar("Result")

log = structlog.get_logger(__name__)


def jobs(shards: Shards) -> list[Periodic]:
    """Build this service's periodic jobs."""

    async def follow_clock(shard: str) -> None:
        for due in await actions.find_due(shards, shard, datetime.now(UTC)):
            await _in_organization(shards, due.org_id, actions.follow_clock, due.conversation_id)

    async def tidy_search(shard: str) -> None:
        await actions.tidy_search(shards, shard)

    async def make_searchable(shard: str) -> None:
        while messages := await actions.find_unsearchable(shards, shard):
            made = 0
            for org_id, of_one in itertools.groupby(messages, key=lambda message: message.org_id):
                some = list(of_one)
                made += await _in_organization(shards, org_id, actions.make_searchable, some) or 0
            if not made:
                return  # others are at it, or it failed: the next run tries again

    return [
        _on_each_shard(shards, "clock", CLOCK_SECONDS, follow_clock),
        _on_each_shard(shards, "tidy_search", TIDY_SECONDS, tidy_search),
        _on_each_shard(shards, "make_searchable", KEYLESS_SECONDS, make_searchable),
        _on_each_shard(shards, "tidy_long_jobs", LONG_JOBS_SECONDS, actions.long_jobs(shards).tidy),
    ]


def _on_each_shard(
    shards: Shards, name: str, every_seconds: float, run: Callable[[str], Awaitable[None]]
) -> Periodic:
    async def on_each_shard() -> None:
        for shard in await shards.names():
            try:
                await run(shard)
            except Problem as problem:  # a shard that is down must not stop the others
                log.warning("job_failed", job=name, shard=shard, error=str(problem))

    return Periodic(name, every_seconds, on_each_shard)


async def _in_organization(
    shards: Shards, org_id: OrgId, act: Callable[[Tx, About], Awaitable[Result]], about: About
) -> Result | None:
    try:
        async with shards.tx(org_id, SYSTEM) as tx:
            return await act(tx, about)
    except Problem as problem:  # neither must one organization, such as one that is being moved
        log.warning("job_failed", organization=str(org_id), error=str(problem))
        return None
