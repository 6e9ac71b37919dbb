"""The relay brings every committed event to its stream, in order; without a broker, nothing is gathered."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from dana.contracts.events import EVENTS_BY_TYPE, OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.broker import relay as relay_module
from dana.platform.broker.binding import RabbitBinding, binding_of, upkeep_of
from dana.platform.broker.connection import Connection
from dana.platform.broker.streams import tail
from dana.platform.broker.topology import partition_of
from dana.platform.bus import PostgresBinding
from dana.platform.identity import SYSTEM
from dana.platform.local.rabbitmq import RabbitMQ
from dana.platform.servers import administer, shard_address
from dana.platform.settings import Settings
from dana.platform.shards import Shards


@pytest.fixture
async def shards(settings: Settings) -> AsyncIterator[Shards]:
    """The shards as a service sees them."""
    made = Shards(settings, "auth")
    yield made
    await made.close()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 7)


@asynccontextmanager
async def relaying(settings: Settings, broker: RabbitMQ) -> AsyncIterator[RabbitBinding]:
    """A process's binding, with its relays."""
    binding = binding_of(replace(settings, rabbitmq_url=broker.url), None)
    assert isinstance(binding, RabbitBinding)
    await binding.start()
    try:
        yield binding
    finally:
        await binding.stop()


async def say(shards: Shards, org_id: OrgId, *names: str) -> None:
    async with shards.tx(org_id, SYSTEM) as tx:
        for name in names:
            tx.emit(OrganizationCreated(name=name))


async def due(settings: Settings, org_id: OrgId, shard: str) -> int:
    async with administer(await shard_address(settings, shard)) as connection:
        return int(
            await connection.fetchval(
                "select count(*) from platform.deliveries where org_id = $1 and consumer_group = 'relay'",
                org_id,
            )
        )


async def until_subscribed(settings: Settings, shard: str) -> None:
    async with administer(await shard_address(settings, shard)) as connection, asyncio.timeout(20):
        while await connection.fetchval(
            "select count(*) from platform.subscriptions where consumer_group = 'relay'"
        ) != len(EVENTS_BY_TYPE):
            await asyncio.sleep(0.02)


async def streamed(connection: Connection, org_id: OrgId, count: int) -> list[tuple[int, str]]:
    """The first events of an organization in its stream: cursor and name."""
    reading = tail(connection, "first", [partition_of(org_id)])
    async with asyncio.timeout(30), aclosing(reading):
        its = (event async for event in reading if event.org_id == org_id)
        return [
            (event.cursor, json.loads(event.payload)["name"])
            for event in [await anext(its) for _ in range(count)]
        ]


async def test_what_is_committed_stands_in_the_stream_and_is_due_no_more(
    broker: RabbitMQ, connection: Connection, shards: Shards, org: OrgId, other_org: OrgId
) -> None:
    settings, shard = shards._settings, (await shards.route(org)).shard
    async with relaying(settings, broker) as binding:
        await until_subscribed(settings, shard)
        shards.on_commit.append(binding.committed)
        for n in range(20):
            await asyncio.gather(say(shards, org, f"{n}a", f"{n}b"), say(shards, other_org, f"{n}"))
        names = [f"{n}{half}" for n in range(20) for half in "ab"]
        assert await streamed(connection, org, 40) == list(enumerate(names, 1))
        assert [cursor for cursor, _ in await streamed(connection, other_org, 20)] == list(range(1, 21))
        async with asyncio.timeout(20):
            while await due(settings, org, shard):
                await asyncio.sleep(0.02)


async def test_a_backlog_larger_than_a_batch_comes_in_order_whatever_its_clock_says(
    small_batches: None, broker: RabbitMQ, connection: Connection, shards: Shards, org: OrgId
) -> None:
    settings, shard = shards._settings, (await shards.route(org)).shard
    others = [OrgId(new_id()) for _ in range(3)]
    for other in others:
        await shards.place(other)
    async with relaying(settings, broker):
        for name in await shards.names():
            await until_subscribed(settings, name)
    for n in range(50):
        await asyncio.gather(*(say(shards, org_id, str(n)) for org_id in (org, *others)))
    async with administer(await shard_address(settings, shard)) as connection_:
        # As if they had come from a server with another clock.
        await connection_.execute(
            "update platform.deliveries set available_at = clock_timestamp() - make_interval(secs => cursor)"
            " where org_id = $1 and cursor % 3 = 0 and consumer_group = 'relay'",
            org,
        )
    async with relaying(settings, broker):
        for org_id in (org, *others):
            assert await streamed(connection, org_id, 50) == [(n + 1, str(n)) for n in range(50)]


async def test_a_relay_that_dies_or_hangs_is_replaced(
    settings: Settings, broker: RabbitMQ, connection: Connection, shards: Shards, org: OrgId
) -> None:
    shard = (await shards.route(org)).shard
    async with administer(await shard_address(settings, shard)) as holder:
        await holder.execute("select platform.relay_types($1)", list(EVENTS_BY_TYPE))
        # Like a relay that holds the lock and does nothing, as a process that was stopped does.
        await holder.execute("select pg_advisory_lock(hashtextextended('dana.relay', 0))")
        await holder.execute(f"set idle_session_timeout = '{relay_module.HUNG_SECONDS}s'")
        async with relaying(settings, broker):
            await say(shards, org, "waits for a relay that hangs")
            assert await streamed(connection, org, 1) == [(1, "waits for a relay that hangs")]


async def test_a_closed_organization_keeps_what_is_due_so_that_it_travels_with_it(
    broker: RabbitMQ, connection: Connection, shards: Shards, org: OrgId, other_org: OrgId
) -> None:
    settings, shard = shards._settings, (await shards.route(org)).shard
    async with administer(await shard_address(settings, shard)) as admin:
        await admin.execute("select platform.relay_types($1)", list(EVENTS_BY_TYPE))
        await say(shards, org, "one")
        await admin.execute("update platform.org_placement set state = 'moved' where org_id = $1", org)
        async with relaying(settings, broker):
            await say(shards, other_org, "another's")
            assert await streamed(connection, other_org, 1) == [(1, "another's")]
            assert await due(settings, org, shard) == 1
            assert await admin.fetchval("select platform.relayed(array[$1::uuid], '{1}')", org) == 0
            assert await due(settings, org, shard) == 1
            await admin.execute("update platform.org_placement set state = 'active' where org_id = $1", org)
            assert await streamed(connection, org, 1) == [(1, "one")]


async def test_what_the_log_has_no_more_holds_nobody_up(
    settings: Settings, broker: RabbitMQ, connection: Connection, shards: Shards, org: OrgId
) -> None:
    shard = (await shards.route(org)).shard
    async with administer(await shard_address(settings, shard)) as admin:
        await admin.execute("select platform.relay_types($1)", list(EVENTS_BY_TYPE))
        await say(shards, org, "forgotten", "one", "two")
        await admin.execute("delete from platform.event_log where org_id = $1 and cursor = 1", org)
    async with relaying(settings, broker):
        assert await streamed(connection, org, 2) == [(2, "one"), (3, "two")]
        async with asyncio.timeout(20):
            while await due(settings, org, shard):
                await asyncio.sleep(0.02)


async def test_nothing_is_gathered_for_a_broker_that_an_installation_has_no_more(
    settings: Settings, broker: RabbitMQ, shards: Shards, org: OrgId
) -> None:
    shard = (await shards.route(org)).shard
    async with administer(await shard_address(settings, shard)) as admin:
        await admin.execute("select platform.relay_types($1)", list(EVENTS_BY_TYPE))
    await say(shards, org, "one", "two")
    assert await due(settings, org, shard) == 2
    assert upkeep_of(replace(settings, rabbitmq_url=broker.url), shards) == []
    [job] = upkeep_of(settings, shards)
    await job.run()
    assert await due(settings, org, shard) == 0
    await say(shards, org, "three")
    assert await due(settings, org, shard) == 0


async def test_a_relay_at_work_is_not_forgotten(
    settings: Settings, broker: RabbitMQ, shards: Shards, org: OrgId
) -> None:
    shard = (await shards.route(org)).shard
    [job] = upkeep_of(settings, shards)
    async with relaying(settings, broker):
        async with administer(await shard_address(settings, shard)) as admin, asyncio.timeout(20):
            while not await admin.fetchval("select count(*) from pg_locks where locktype = 'advisory'"):
                await asyncio.sleep(0.02)
        await until_subscribed(settings, shard)
        await job.run()
        await until_subscribed(settings, shard)


def test_the_settings_say_which_binding_it_is(settings: Settings) -> None:
    assert isinstance(binding_of(settings, None), PostgresBinding)
    assert isinstance(
        binding_of(replace(settings, rabbitmq_url="amqp://a:b@localhost/"), None), RabbitBinding
    )
