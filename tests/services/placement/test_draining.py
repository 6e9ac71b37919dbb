"""A shard is drained: everybody finds a place that is open and answers, or stays where they are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dana.contracts.ids import OrgId, new_id
from dana.platform.errors import Conflict, Missing
from dana.services.placement.actions import moving
from dana.services.placement.actions.adding import add_shard
from dana.services.placement.actions.draining import close_for_drain, drain
from dana.services.placement.actions.registry import remove, reserve
from dana.services.placement.models.moves import Move, MoveState
from tests.services.placement.grounds import Grounds, silent

pytestmark = pytest.mark.xdist_group("placement")


@pytest.fixture
async def full(grounds: Grounds) -> AsyncIterator[list[OrgId]]:
    """The shard `full` with three organizations; whatever becomes of them, it is gone afterwards."""
    await add_shard(grounds.desk, "full", None, None, lambda _: None)
    org_ids = [await grounds.organization("full") for _ in range(3)]
    yield org_ids
    async with grounds.catalog() as catalog:
        await catalog.execute("update platform.shards set is_open = true")
        await catalog.execute("delete from placement.move_digests")
        await catalog.execute("delete from placement.moves where org_id = any ($1)", org_ids)
        await catalog.execute("delete from platform.organizations where shard = 'full'")
        await catalog.execute("delete from platform.shards where name = 'full'")
    async with grounds.on("shard1") as server:
        await server.execute("drop database dana_full with (force)")


async def drained(grounds: Grounds) -> list[Move]:
    await close_for_drain(grounds.desk, "full")
    return [move async for move in drain(grounds.desk, "full", silent)]


@asynccontextmanager
async def an_empty_shard_that_is_away(grounds: Grounds) -> AsyncIterator[None]:
    async with grounds.catalog() as catalog:
        await catalog.execute(
            "insert into platform.shards (name, address, database)"
            " values ('away', 'postgresql://127.0.0.1:1', 'dana_away')"
        )
        yield
        await catalog.execute("delete from platform.shards where name = 'away'")


async def test_everybody_goes_where_it_is_open_and_answers(grounds: Grounds, full: list[OrgId]) -> None:
    async with grounds.catalog() as catalog:
        await catalog.execute("update platform.shards set is_open = false where name = 'shard1'")
    going = await moving.request(grounds.desk, full[1], "shard3")  # left by somebody who was cut
    async with an_empty_shard_that_is_away(grounds):
        moves = await drained(grounds)
    assert {move.org_id for move in moves} == set(full)
    assert {move.state for move in moves} == {MoveState.VERIFIED}
    assert {move.target for move in moves} <= {"shard2", "shard3"}
    assert going.id in {move.id for move in moves}
    for move in moves:
        assert await grounds.route(move.org_id) == (move.target, 2)
        await moving.purge(grounds.desk, move.id)
    await remove(grounds.desk, "full")


async def test_without_another_open_shard_everybody_stays(grounds: Grounds, full: list[OrgId]) -> None:
    async with grounds.catalog() as catalog:
        await catalog.execute("update platform.shards set is_open = false")
    with pytest.raises(Conflict, match="no other shard that is open"):
        await drained(grounds)
    assert [await grounds.route(org_id) for org_id in full] == [("full", 1)] * 3
    with pytest.raises(Conflict, match="3 organizations live on full"):
        await remove(grounds.desk, "full")


async def test_who_can_t_be_moved_stays_and_the_others_go(grounds: Grounds, full: list[OrgId]) -> None:
    async with grounds.on("full") as home:  # it isn't what the catalog believes
        await home.execute("update platform.org_placement set epoch = 7 where org_id = $1", full[1])
    moves = await drained(grounds)
    ended = {move.org_id: move for move in moves}
    assert ended[full[1]].state == MoveState.ABORTED
    assert "does not work on full" in (ended[full[1]].error or "")
    assert {ended[full[0]].state, ended[full[2]].state} == {MoveState.VERIFIED}
    assert (await grounds.route(full[1]))[0] == "full"


async def test_a_drain_ends_the_shards_reservation(grounds: Grounds) -> None:
    await add_shard(grounds.desk, "full", None, None, lambda _: None)
    org_id = await grounds.organization("full")
    assert await reserve(grounds.desk, org_id, "full") is None
    (move,) = await drained(grounds)
    assert (move.org_id, move.state) == (org_id, MoveState.VERIFIED)
    async with grounds.catalog() as catalog:
        row = await catalog.fetchrow("select is_open, dedicated_to from platform.shards where name = 'full'")
        assert row is not None
        assert tuple(row) == (False, None)
    await moving.purge(grounds.desk, move.id)
    await remove(grounds.desk, "full")
    with pytest.raises(Missing):
        await close_for_drain(grounds.desk, str(new_id())[:8])
