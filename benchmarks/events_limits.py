"""The limits for `events`: what the broker does without PostgreSQL, and PostgreSQL without the bus."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from aio_pika.abc import AbstractIncomingMessage

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import EventId, OrgId, new_id
from dana.platform.broker.connection import Connection
from dana.platform.broker.publishing import Outgoing, Publisher
from dana.platform.broker.relay import BATCH
from dana.platform.broker.topology import declare_jobs, declare_streams, jobs_name
from dana.platform.identity import SYSTEM
from dana.platform.settings import Settings
from dana.platform.shards import Shards

GROUP = "limit"
PREFETCH = 16  # as the lane has for two shards
CLAIMERS = 8
EVENT_TYPE = "organization_created"


async def of_broker(settings: Settings, orgs: list[OrgId], events: int) -> dict[str, Any]:
    """Publish to a stream and a quorum queue in the relay's batches, with confirms; consume, acknowledge."""
    publisher, consuming = Publisher(settings.rabbitmq_url), Connection(settings.rabbitmq_url, "bench")
    await asyncio.gather(publisher.start(), consuming.start())
    await declare_streams(consuming)
    await declare_jobs(consuming, GROUP, "live", [EVENT_TYPE])
    channel = await consuming.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.get_queue(jobs_name(GROUP, "live"))
    acknowledged, everything = 0, asyncio.Event()

    async def take(message: AbstractIncomingMessage) -> None:
        nonlocal acknowledged
        await message.ack()
        acknowledged += 1
        if acknowledged == events:
            everything.set()

    await queue.consume(take)
    outgoing = [_outgoing(orgs[n % len(orgs)], n // len(orgs) + 1) for n in range(events)]
    began = time.perf_counter()
    for n in range(0, events, BATCH):
        await publisher.publish(outgoing[n : n + BATCH])
    confirmed = time.perf_counter()
    await asyncio.wait_for(everything.wait(), 120)
    ended = time.perf_counter()
    await asyncio.gather(publisher.stop(), consuming.stop())
    return {
        "broker_events_per_second": round(events / (ended - began), 1),
        "broker_confirms_per_second": round(events / (confirmed - began), 1),
    }


async def of_postgresql(settings: Settings, orgs: list[OrgId], events: int) -> dict[str, Any]:
    """Claim and finish a backlog by the bare statements, with as many connections as a lane has slots."""
    shards = Shards(settings, "conversations")
    pools = [await shards.pool(shard) for shard in await shards.names()]
    for pool in pools:
        await pool.execute("select platform.subscribe($1, $2, $3)", GROUP, [EVENT_TYPE], ["live"])
    for n in range(0, events, len(orgs)):
        await asyncio.gather(*(_say(shards, org_id, str(n)) for org_id in orgs))
    began = time.perf_counter()
    finished = sum(
        await asyncio.gather(
            *(_finish_all(shards, shard) for shard in await shards.names() for _ in range(CLAIMERS))
        )
    )
    per_second = finished / (time.perf_counter() - began)
    for pool in pools:
        await pool.execute("select platform.subscribe($1, '{}', '{}')", GROUP)
    await shards.close()
    return {"bare_events_per_second": round(per_second, 1)}


async def _say(shards: Shards, org_id: OrgId, name: str) -> None:
    async with shards.tx(org_id, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name=name))


async def _finish_all(shards: Shards, shard: str) -> int:
    pool = await shards.pool(shard)
    finished = 0
    while True:
        token = uuid4()
        rows = await pool.fetch(
            "select org_id, cursor from platform.claim($1, 'live', 1, $2, $3)",
            GROUP,
            timedelta(seconds=12),
            token,
        )
        if not rows:
            return finished
        for row in rows:
            epoch = (await shards.route(row["org_id"])).epoch
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("select platform.begin_org($1, $2)", row["org_id"], epoch)
                finished += await connection.fetchval(
                    "select platform.finish($1, $2, $3, 'live', $4)",
                    row["org_id"],
                    row["cursor"],
                    GROUP,
                    token,
                )


def _outgoing(org_id: OrgId, cursor: int) -> Outgoing:
    payload = f'{{"name": "{cursor}", "padding": "{"x" * 200}"}}'
    now = datetime.now(UTC)
    return Outgoing(org_id, cursor, EventId(new_id()), EVENT_TYPE, "", payload, now, "shard1")
