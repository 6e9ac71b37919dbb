"""How busy organizations and shards are, looked up every few minutes; what placing and rebalancing go by."""

import asyncio

import structlog
from prometheus_client import Gauge

from dana.platform.errors import Problem
from dana.platform.servers import shard_addresses
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.loads import updated
from dana.services.placement.models.shards import Condition
from dana.services.placement.store import loads, servers
from dana.services.placement.store.sessions import session

KEPT_AT_ONCE = 5_000  # organizations in one transaction on the catalog

IS_UP = Gauge("dana_shard_up", "Whether a shard answers its administrator.", ["shard"])
SIZE = Gauge("dana_shard_bytes", "How large a shard's database is.", ["shard"])
BUSY = Gauge("dana_shard_events_per_hour", "Events of a shard's organizations, averaged.", ["shard"])

log = structlog.get_logger(__name__)


async def sample_loads(desk: Desk) -> None:
    """Look at all shards at once; what is known of one that is away stays."""
    addresses = await shard_addresses(desk.settings)
    for gauge in (IS_UP, SIZE, BUSY):
        gauge.clear()
    await asyncio.gather(*(_sample(desk, shard, dsn) for shard, dsn in addresses.items()))
    async with desk.shards.catalog.tx() as tx:
        await loads.sum_up(tx)


async def _sample(desk: Desk, shard: str, dsn: str) -> None:
    try:
        _show(shard, await servers.look(dsn))
        async with session(dsn) as connection:
            at, samples = await loads.sample(connection)
    except Problem as problem:
        IS_UP.labels(shard).set(0)
        log.warning("shard_not_sampled", shard=shard, error=problem.detail)
        return
    total = 0.0
    for first in range(0, len(samples), KEPT_AT_ONCE):
        some = samples[first : first + KEPT_AT_ONCE]
        async with desk.shards.catalog.tx() as tx:
            known = await loads.loads_of(tx, [sample.org_id for sample in some])
            fresh = [(sample, updated(known.get(sample.org_id), sample.cursor, at)) for sample in some]
            await loads.keep(tx, shard, fresh)
        total += sum(load.events_per_hour for _, load in fresh)
    BUSY.labels(shard).set(total)


def _show(shard: str, condition: Condition) -> None:
    IS_UP.labels(shard).set(1)
    SIZE.labels(shard).set(condition.size_bytes)
