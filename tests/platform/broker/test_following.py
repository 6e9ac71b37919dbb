"""A durable reader applies each event exactly once, in order, whatever happens to it and to the streams."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import EventId, OrgId, new_id
from dana.platform.broker.connection import Connection
from dana.platform.broker.following import follow
from dana.platform.broker.publishing import Outgoing, Publisher
from dana.platform.broker.streams import StreamedEvent
from dana.platform.broker.topology import partition_of
from dana.platform.database import CatalogTx, address
from dana.platform.identity import SYSTEM
from dana.platform.servers import CATALOG, administer
from dana.platform.settings import Settings
from dana.platform.shards import Shards

TABLE = """
create schema if not exists bookkeeping;
create table if not exists bookkeeping.seen (
  reader text not null, org_id uuid not null, cursor bigint not null, type text not null,
  place bigint generated always as identity);
grant usage on schema bookkeeping to dana_service;
grant select, insert on bookkeeping.seen to dana_service"""
NOTE = "insert into bookkeeping.seen (reader, org_id, cursor, type) values ($1, $2, $3, $4)"


@pytest.fixture
async def catalog(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The catalog, with a table for effects."""
    async with administer(address(settings.database_url, database=CATALOG)) as connection:
        await connection.execute(TABLE)
        yield connection


@pytest.fixture
async def shards(settings: Settings) -> AsyncIterator[Shards]:
    """The shards as a service sees them."""
    made = Shards(settings, "auth")
    yield made
    await made.close()


class Reader:
    """Somebody who notes each event, and may be cut or stumble."""

    def __init__(self, name: str, org_id: OrgId) -> None:
        self.name = name
        self._org_id = org_id
        self._task: asyncio.Task[None] | None = None
        self.stumbles = 0

    async def note(self, tx: CatalogTx, events: list[StreamedEvent]) -> None:
        rows = [(self.name, event.org_id, event.cursor, event.type) for event in events]
        await tx.executemany(NOTE, [row for row in rows if row[1] == self._org_id])
        if self.stumbles:
            self.stumbles -= 1
            raise ConnectionError("stumbled")

    def start(self, connection: Connection, shards: Shards) -> None:
        partition = partition_of(self._org_id)
        self._task = asyncio.create_task(follow(connection, shards, self.name, partition, self.note))

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def outgoing(org_id: OrgId, cursors: range) -> list[Outgoing]:
    now = datetime.now(UTC)
    return [
        Outgoing(org_id, cursor, EventId(new_id()), "organization_created", "", "{}", now, "shard1")
        for cursor in cursors
    ]


async def seen(catalog: asyncpg.Connection, reader: str) -> list[int]:
    rows = await catalog.fetch("select cursor from bookkeeping.seen where reader = $1 order by place", reader)
    return [row["cursor"] for row in rows]


async def until_seen(catalog: asyncpg.Connection, reader: str, cursor: int) -> list[int]:
    async with asyncio.timeout(30):
        while cursor not in (found := await seen(catalog, reader)):
            await asyncio.sleep(0.05)
    return found


async def test_each_event_is_applied_once_though_readers_stumble_are_cut_and_are_two(
    catalog: asyncpg.Connection, connection: Connection, publisher: Publisher, shards: Shards
) -> None:
    org_id, name = OrgId(new_id()), f"reader {new_id()}"
    one, two = Reader(name, org_id), Reader(name, org_id)
    one.stumbles = 2
    one.start(connection, shards)
    two.start(connection, shards)
    for n in range(1, 301, 20):
        await publisher.publish(outgoing(org_id, range(n, n + 20)))
        if n > 20:
            await publisher.publish(outgoing(org_id, range(n - 15, n + 5)))  # as a relay that was replaced
        if n == 101:
            await one.stop()
        if n == 201:
            one.start(connection, shards)
    assert await until_seen(catalog, name, 300) == list(range(1, 301))
    await one.stop()
    await two.stop()


async def test_doubles_are_known_after_a_restart_too(
    catalog: asyncpg.Connection, connection: Connection, publisher: Publisher, shards: Shards
) -> None:
    org_id, name = OrgId(new_id()), f"reader {new_id()}"
    reader = Reader(name, org_id)
    reader.start(connection, shards)
    await publisher.publish(outgoing(org_id, range(1, 11)))
    await until_seen(catalog, name, 10)
    await reader.stop()
    await publisher.publish(outgoing(org_id, range(5, 13)))
    reader.start(connection, shards)
    assert await until_seen(catalog, name, 12) == list(range(1, 13))
    await reader.stop()


async def test_what_a_stream_has_lost_is_read_from_the_log(
    catalog: asyncpg.Connection, connection: Connection, publisher: Publisher, shards: Shards, org: OrgId
) -> None:
    for n in range(6):
        async with shards.tx(org, SYSTEM) as tx:
            tx.emit(OrganizationCreated(name=str(n)))
    name = f"reader {new_id()}"
    reader = Reader(name, org)
    reader.start(connection, shards)
    await publisher.publish(outgoing(org, range(1, 3)))
    await publisher.publish(outgoing(org, range(6, 7)))  # 3, 4 and 5 never got there
    assert await until_seen(catalog, name, 6) == [1, 2, 3, 4, 5, 6]
    await reader.stop()


async def test_of_two_who_apply_the_same_at_once_one_is_taken_back(
    catalog: asyncpg.Connection, connection: Connection, publisher: Publisher, shards: Shards
) -> None:
    org_id, name = OrgId(new_id()), f"reader {new_id()}"
    slow, fast = Reader(name, org_id), Reader(name, org_id)
    has_begun, may_end = asyncio.Event(), asyncio.Event()
    note = slow.note

    async def note_slowly(tx: CatalogTx, events: list[StreamedEvent]) -> None:
        await note(tx, events)
        has_begun.set()
        await may_end.wait()

    slow.note = note_slowly  # type: ignore[method-assign]
    await publisher.publish(outgoing(org_id, range(1, 6)))
    slow.start(connection, shards)
    async with asyncio.timeout(30):
        await has_begun.wait()
    fast.start(connection, shards)
    async with asyncio.timeout(30):
        while not await catalog.fetchval(
            "select count(*) from pg_stat_activity"
            " where wait_event_type = 'Lock' and query like '%stream_offsets%'"
        ):
            await asyncio.sleep(0.02)
    may_end.set()
    assert await until_seen(catalog, name, 5) == [1, 2, 3, 4, 5]
    await publisher.publish(outgoing(org_id, range(6, 8)))
    assert await until_seen(catalog, name, 7) == [1, 2, 3, 4, 5, 6, 7]
    await slow.stop()
    await fast.stop()
