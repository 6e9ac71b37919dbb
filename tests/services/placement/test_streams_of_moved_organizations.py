"""Who reads along in the broker's streams misses nothing of an organization that moves while it works."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from dana.contracts.events import EVENTS_BY_TYPE
from dana.contracts.ids import OrgId
from dana.platform.broker import Connection, binding_of
from dana.platform.broker import relay as relay_module
from dana.platform.broker.streams import read
from dana.platform.broker.topology import partition_of
from dana.platform.local.rabbitmq import RabbitMQ, start_rabbitmq
from dana.services.placement.actions import moving
from dana.services.placement.models.moves import MoveState
from tests.services.placement.grounds import Grounds, Office, silent

pytestmark = pytest.mark.xdist_group("placement")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """One node."""
    running = start_rabbitmq(tmp_path_factory.mktemp("rabbitmq"))
    yield running
    running.stop()


@pytest.fixture
async def relayed(
    grounds: Grounds, broker: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Grounds]:
    """The grounds, with a relay on each shard; its batches are small, so that moves come between them."""
    monkeypatch.setattr(relay_module, "BATCH", 3)
    binding = binding_of(replace(grounds.settings, rabbitmq_url=broker.url), None)
    await binding.start()
    grounds.writing.on_commit.append(binding.committed)
    for shard in ("shard1", "shard2", "shard3"):
        async with grounds.on(shard) as home, asyncio.timeout(30):
            while await home.fetchval(
                "select count(*) from platform.subscriptions where consumer_group = 'relay'"
            ) < len(EVENTS_BY_TYPE):
                await asyncio.sleep(0.02)
    yield grounds
    await binding.stop()
    for shard in ("shard1", "shard2", "shard3"):
        async with grounds.on(shard) as home:
            while await home.fetchval("select platform.forget_relay(1000)"):
                pass


async def streamed(broker: RabbitMQ, org_id: OrgId, newest: int) -> list[int]:
    """The cursors of an organization in its stream up to the newest, with doubles, as they stand there."""
    connection, cursors = Connection(broker.url, "test"), list[int]()
    await connection.start(10)

    async def gather() -> None:
        async for event in read(connection, partition_of(org_id), "first"):
            cursors.extend([event.cursor] if event.org_id == org_id else [])

    reading = asyncio.create_task(gather())
    async with asyncio.timeout(60):
        while newest not in cursors:
            await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await connection.stop()
    return cursors


async def test_an_organization_that_moves_is_streamed_whole_and_in_order(
    relayed: Grounds, broker: RabbitMQ
) -> None:
    org_id = await relayed.organization("shard1")
    office = await Office.open(relayed.writing, org_id)
    async with office.busy():
        for target in ("shard3", "shard2", "shard1"):
            move = await moving.request(relayed.desk, org_id, target)
            move = await moving.drive(relayed.desk, move.id, silent)
            assert move.state == MoveState.VERIFIED
    async with relayed.on("shard1") as home:
        newest = await home.fetchval("select value from platform.org_cursor where org_id = $1", org_id)
    cursors = await streamed(broker, org_id, newest)
    assert newest > 20
    assert list(dict.fromkeys(cursors)) == list(range(1, newest + 1))
