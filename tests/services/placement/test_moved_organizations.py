"""Who works with an organization doesn't notice that it moves: routes, sockets, and what is due."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from dana.contracts.events import MessageAppended, OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.bus import Bus, Consumer, Envelope, Lane, PostgresBinding, Worker
from dana.platform.catalog import Route
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.local.programs import free_port
from dana.platform.shards import Shards
from dana.services.placement.actions import moving
from dana.services.placement.models.moves import Move, MoveState
from tests.services.placement.grounds import Grounds, Office, silent
from tests.services.realtime.listening import Node

pytestmark = pytest.mark.xdist_group("placement")


async def move_to(grounds: Grounds, org_id: OrgId, shard: str) -> Move:
    """Move an organization."""
    move = await moving.request(grounds.desk, org_id, shard)
    move = await moving.drive(grounds.desk, move.id, silent)
    assert move.state == MoveState.VERIFIED
    return move


def counted(shards: Shards) -> list[Route]:
    """Keep what the catalog answers when it is asked for a route."""
    answers: list[Route] = []
    locate = shards.catalog.locate

    async def locate_and_keep(org_id: OrgId) -> Route:
        answers.append(await locate(org_id))
        return answers[-1]

    shards.catalog.locate = locate_and_keep  # type: ignore[method-assign]
    return answers


async def test_a_route_that_is_cached_for_ever_is_refreshed_once(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    stale = office.shards
    answers = counted(stale)
    for shard, epoch in (("shard3", 2), ("shard1", 3)):  # back again: the same shard, another epoch
        before = await stale.route(office.org_id)
        await move_to(grounds, office.org_id, shard)
        assert await stale.route(office.org_id) == before  # nobody has told it
        answers.clear()
        await asyncio.gather(*(office.write(1) for _ in range(5)), read(stale, office.org_id))
        assert answers == [Route(shard, epoch)]
        assert await stale.route(office.org_id) == Route(shard, epoch)
    async with grounds.on("shard1") as home:
        rows = await home.fetchval(
            "select count(*) from conversations.messages where org_id = $1", office.org_id
        )
    assert rows == sum(len(texts) for texts in office.acknowledged.values())
    assert office.failures == []


async def test_a_read_with_a_stale_route_shows_what_was_written_since(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    stale = Shards(grounds.settings, "conversations")
    seen = await read(stale, office.org_id)
    await move_to(grounds, office.org_id, "shard2")
    await office.write(1)
    assert await read(stale, office.org_id) == seen + len(office.conversations)
    await stale.close()


async def test_a_socket_hears_of_everything_while_its_organization_moves(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    port = free_port()
    shards = Shards(grounds.settings, "realtime")
    node = Node.make(replace(grounds.settings, realtime_port=port), shards, port)
    await node.start()
    listener = await node.join(node.member_token(office.org_id))
    grounds.writing.on_commit.append(node.fanout.committed)
    await office.write(1)
    await move_to(grounds, office.org_id, "shard3")
    await office.write(1)
    grounds.writing.on_commit.clear()  # the fan-out is lost: the node must look at the new shard by itself
    await office.write(1)
    frames = await listener.events(3 * len(office.conversations))
    cursors = [frame["cursor"] for frame in frames]
    assert cursors == list(range(cursors[0], cursors[0] + len(cursors)))
    assert (await shards.route(office.org_id)).shard == "shard3"
    await node.stop()
    await shards.close()


async def test_what_is_due_is_done_once_wherever_the_organization_is(grounds: Grounds) -> None:
    shards = Shards(grounds.settings, "ai")

    async def count(tx: Tx, event: MessageAppended) -> None:
        await tx.execute("update ai.turns set answered_cursor = answered_cursor + 1")

    async with consuming(shards, Consumer(MessageAppended, count)):
        org_id = await grounds.organization("shard1")
        async with grounds.on("shard1") as home:
            await home.execute(
                "insert into ai.turns (org_id, id, fence_cursor) values ($1, $2, 0)", org_id, new_id()
            )
        office = await Office.open(grounds.writing, org_id)
        async with office.busy():
            await move_to(grounds, org_id, "shard3")
        await until_nothing_is_due(grounds, office)
    await shards.close()
    async with grounds.on("shard3") as home:
        written = await home.fetchval(
            "select count(*) from platform.event_log where org_id = $1 and type = 'message_appended'",
            office.org_id,
        )
        done = await home.fetchval("select answered_cursor from ai.turns where org_id = $1", office.org_id)
    assert done == written == sum(len(texts) for texts in office.acknowledged.values())


async def test_long_work_that_began_at_the_source_ends_at_the_target(grounds: Grounds) -> None:
    shards = Shards(grounds.settings, "ai")
    begun, may_end = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    async def work(envelope: Envelope, event: OrganizationCreated) -> None:
        runs.append(envelope.attempt)
        begun.set()
        await may_end.wait()

    async with consuming(shards, Worker(OrganizationCreated, work, Lane.AI)):
        office = await grounds.furnished("shard1")
        async with office.shards.tx(office.org_id, SYSTEM) as tx:
            tx.emit(OrganizationCreated(name="Shop"))
        await begun.wait()
        await move_to(grounds, office.org_id, "shard2")
        may_end.set()
        await until_nothing_is_due(grounds, office, "shard2")
    await shards.close()
    assert runs == [1]


async def read(shards: Shards, org_id: OrgId) -> int:
    """Count messages as a service does."""
    async with shards.read(org_id) as tx:
        return int(await tx.fetchval("select count(*) from conversations.messages"))


@asynccontextmanager
async def consuming(shards: Shards, *consumers: Consumer | Worker) -> AsyncIterator[None]:
    """Run consumers on all shards for the length of the block, and leave no subscription."""
    bus = Bus("ai", shards, list(consumers), PostgresBinding())
    await bus.start()
    try:
        yield
    finally:
        await bus.stop()
        for shard in await shards.names():
            pool = await shards.pool(shard)
            await pool.execute("select platform.subscribe('ai', '{}', '{}')")


async def until_nothing_is_due(grounds: Grounds, office: Office, shard: str = "shard3") -> None:
    """Wait until all deliveries to the consumer of a shard are done."""
    due = "select count(*) from platform.deliveries where org_id = $1 and consumer_group = 'ai'"
    async with grounds.on(shard) as home, asyncio.timeout(30):
        while await home.fetchval(due, office.org_id):
            await asyncio.sleep(0.05)
