"""What the streams hold of a day, beside what PostgreSQL's log holds of it."""

import asyncio
from contextlib import aclosing

from dana.contracts.events import EVENTS_BY_TYPE
from dana.contracts.ids import OrgId
from dana.platform.broker import Connection, tail
from dana.platform.broker.topology import partition_of
from dana.platform.servers import administer, shard_addresses
from dana.platform.settings import Settings
from tests.conformance.days import Day

_LOGGED = """
select l.org_id, l.cursor, l.id from platform.event_log l
  join platform.org_placement p on p.org_id = l.org_id and p.state = 'active'
 where l.org_id = any ($1) order by l.org_id, l.cursor"""

Told = dict[OrgId, list[tuple[int, str]]]
"""Of each organization, the cursors and ids of its events."""


async def logged(settings: Settings, orgs: list[OrgId]) -> Told:
    """What is in PostgreSQL."""
    told: Told = {org_id: [] for org_id in orgs}
    for dsn in (await shard_addresses(settings)).values():
        async with administer(dsn) as shard:
            for row in await shard.fetch(_LOGGED, orgs):
                told[OrgId(row["org_id"])].append((row["cursor"], str(row["id"])))
    return told


async def streamed(settings: Settings, expected: Told) -> Told:
    """What a reader gets from the streams, doubles left out; as much as is expected."""
    told: Told = {org_id: [] for org_id in expected}
    connection = Connection(settings.rabbitmq_url, "test")
    await connection.start(30)
    partitions = {partition_of(org_id) for org_id in expected}
    try:
        async with asyncio.timeout(90), aclosing(tail(connection, "first", partitions)) as events:
            async for event in events:
                if event.org_id in told:
                    told[event.org_id].append((event.cursor, str(event.id)))
                    if all(len(told[org_id]) >= len(expected[org_id]) for org_id in expected):
                        break
    finally:
        await connection.stop()
    return told


async def assert_complete(day: Day) -> None:
    """Nothing of the day is missing in the streams, and nothing is out of order."""
    expected = await logged(day.settings, day.orgs)
    assert all(expected.values())
    assert await streamed(day.settings, expected) == expected


async def until_relayed_from(settings: Settings) -> None:
    """Wait until every shard gathers events for the relay."""
    for dsn in (await shard_addresses(settings)).values():
        async with administer(dsn) as shard, asyncio.timeout(30):
            while await shard.fetchval(
                "select count(*) from platform.subscriptions where consumer_group = 'relay'"
            ) < len(EVENTS_BY_TYPE):
                await asyncio.sleep(0.02)
