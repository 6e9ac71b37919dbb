"""What is published stands in the streams, in order, and can be read from any place on."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from dana.contracts.ids import EventId, OrgId, new_id
from dana.platform.broker import topology
from dana.platform.broker.connection import Connection, answers_in_time
from dana.platform.broker.publishing import Outgoing, Publisher
from dana.platform.broker.streams import Newest, Start, StreamedEvent, read, tail
from dana.platform.broker.topology import declare_jobs, declare_streams, partition_of, stream_name
from dana.platform.errors import Unavailable
from dana.platform.local.rabbitmq import RabbitMQ

BIG = "x" * 1000


def events(org_id: OrgId, cursors: range, created_at: datetime | None = None) -> list[Outgoing]:
    return [
        Outgoing(
            org_id=org_id,
            cursor=cursor,
            id=EventId(new_id()),
            type="member_changed",
            key=str(new_id()),
            payload=f'{{"n": {cursor}, "text": "{BIG}"}}',
            created_at=created_at or datetime.now(UTC),
            shard="shard1",
        )
        for cursor in cursors
    ]


async def first_of(
    connection: Connection, org_id: OrgId, count: int, start: Start = "first"
) -> list[StreamedEvent]:
    """The first events of an organization, from a place on, doubles left out."""
    reading = tail(connection, start, [partition_of(org_id)])
    async with asyncio.timeout(30), aclosing(reading):
        its = (event async for event in reading if event.org_id == org_id)
        return [await anext(its) for _ in range(count)]


async def test_a_batch_is_read_in_its_order_with_all_that_stands_around_an_event(
    publisher: Publisher, connection: Connection
) -> None:
    org_id = OrgId(new_id())
    sent = events(org_id, range(1, 301))
    await publisher.publish(sent)
    found = await first_of(connection, org_id, 300)
    assert [event.cursor for event in found] == list(range(1, 301))
    assert all(before.offset < after.offset for before, after in pairwise(found))
    assert [event.id for event in found] == [outgoing.id for outgoing in sent]
    assert found[0].created_at == sent[0].created_at
    assert str(found[0].key) == sent[0].key
    assert found[0].payload == sent[0].payload.encode()
    assert (found[0].type, found[0].shard) == ("member_changed", "shard1")


async def test_doubles_are_left_out_and_order_stays(publisher: Publisher, connection: Connection) -> None:
    org_id = OrgId(new_id())
    sent = events(org_id, range(1, 31))
    await publisher.publish(sent[:20])
    await publisher.publish(sent[10:])
    assert [event.cursor for event in await first_of(connection, org_id, 30)] == list(range(1, 31))


async def test_reading_begins_at_an_offset_at_a_time_or_at_the_end(
    publisher: Publisher, connection: Connection
) -> None:
    org_id = OrgId(new_id())
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    await publisher.publish(events(org_id, range(1, 11), an_hour_ago))
    now = datetime.now(UTC)
    await publisher.publish(events(org_id, range(11, 21), now))
    everything = await first_of(connection, org_id, 20)
    from_there = await first_of(connection, org_id, 5, everything[15].offset)
    assert [event.cursor for event in from_there] == [16, 17, 18, 19, 20]
    assert [event.cursor for event in await first_of(connection, org_id, 10, now)] == list(range(11, 21))

    async def publish_later() -> None:
        for cursor in range(21, 1000):  # a reader from the end sees only what comes after it has begun
            await asyncio.sleep(0.05)
            await publisher.publish(events(org_id, range(cursor, cursor + 1)))

    later = asyncio.create_task(publish_later())
    [event] = await first_of(connection, org_id, 1, "next")
    later.cancel()
    assert event.cursor > 20


async def test_reading_goes_on_after_the_broker_was_killed_without_a_new_process(
    broker: RabbitMQ, publisher: Publisher, connection: Connection
) -> None:
    org_id, seen = OrgId(new_id()), []
    sent = events(org_id, range(1, 201))

    async def gather() -> None:
        async for event in read(connection, partition_of(org_id), "first"):
            seen.extend([event.cursor] if event.org_id == org_id else [])

    reading = asyncio.create_task(gather())
    await publisher.publish(sent[:100])
    async with asyncio.timeout(20):
        while len(seen) < 100:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(broker.settle)
    await asyncio.to_thread(broker.nodes[0].kill)
    with pytest.raises(Unavailable):
        await publisher.publish(sent[100:])
    await asyncio.to_thread(broker.nodes[0].start)
    async with asyncio.timeout(60):
        while True:
            try:
                await publisher.publish(sent[100:])
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                break
        while 200 not in seen:
            await asyncio.sleep(0.01)
    reading.cancel()
    assert sorted(set(seen)) == list(range(1, 201))
    assert list(dict.fromkeys(seen)) == list(range(1, 201))


async def test_what_an_operator_has_made_with_other_limits_is_kept(connection: Connection) -> None:
    channel = await connection.channel()
    arguments: topology.Arguments = {"x-queue-type": "quorum", "x-max-length": 7}
    async with answers_in_time():
        await channel.declare_queue("dana.jobs.own.live", durable=True, arguments=arguments)
    for _ in range(2):
        await declare_streams(connection)
        await declare_jobs(connection, "own", "live", ["member_changed"])
    async with answers_in_time():
        again = await channel.declare_queue("dana.jobs.own.live", durable=True, arguments=arguments)
        assert again.declaration_result.message_count == 0
        await again.delete(if_unused=False, if_empty=False)


async def test_a_stream_that_was_deleted_is_noticed_and_made_anew(
    publisher: Publisher, connection: Connection
) -> None:
    org_id = OrgId(new_id())
    await publisher.publish(events(org_id, range(1, 2)))
    channel = await connection.channel()
    async with answers_in_time():
        await channel.queue_delete(stream_name(partition_of(org_id)), if_unused=False, if_empty=False)
    with pytest.raises(Unavailable, match="stream is missing"):
        await publisher.publish(events(org_id, range(2, 3)))
    await publisher.publish(events(org_id, range(2, 4)))
    assert [event.cursor for event in await first_of(connection, org_id, 2)] == [2, 3]


async def test_a_broker_short_of_memory_holds_nobody_up_and_is_used_again_when_it_has_some(
    broker: RabbitMQ, publisher: Publisher, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dana.platform.broker.publishing.CONFIRM_SECONDS", 1.0)
    org_id = OrgId(new_id())
    await publisher.publish(events(org_id, range(1, 3)))
    [node] = broker.nodes
    await asyncio.to_thread(
        broker.evaluate, node, "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1})."
    )
    try:
        async with asyncio.timeout(30):
            for _ in range(3):
                with pytest.raises(Unavailable, match="didn't confirm in time"):
                    await publisher.publish(events(org_id, range(3, 6)))
                while not publisher.is_connected:
                    await asyncio.sleep(0.05)
    finally:
        limit = "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1073741824})."
        await asyncio.to_thread(broker.evaluate, node, limit)
    monkeypatch.undo()
    async with asyncio.timeout(30):
        while True:
            try:
                await publisher.publish(events(org_id, range(3, 6)))
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                break
    assert [event.cursor for event in await first_of(connection, org_id, 5)] == [1, 2, 3, 4, 5]


def test_the_newest_cursors_of_few_organizations_are_remembered() -> None:
    newest = Newest(at_most=2)
    one, two, three = (OrgId(new_id()) for _ in range(3))

    def is_new(org_id: OrgId, cursor: int) -> bool:
        [outgoing] = events(org_id, range(cursor, cursor + 1))
        return newest.is_new(
            StreamedEvent(
                0, 0, outgoing.id, org_id, cursor, outgoing.type, None, outgoing.created_at, "shard1", b""
            )
        )

    assert is_new(one, 5)
    assert not is_new(one, 4)
    assert not is_new(one, 5)
    assert is_new(one, 6)
    assert is_new(two, 1)
    assert is_new(three, 1)  # and `one`, quiet for longest, is forgotten
    assert is_new(one, 6)


def test_there_are_as_many_partitions_as_streams_and_an_organization_stays_in_its_own() -> None:
    orgs = [OrgId(new_id()) for _ in range(200)]
    assert {partition_of(org_id) for org_id in orgs} == set(range(topology.PARTITIONS))
    assert [partition_of(org_id) for org_id in orgs] == [partition_of(org_id) for org_id in orgs]
