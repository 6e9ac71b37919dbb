"""Replicas answer what they can answer truthfully, and the primary answers the rest."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.database import address, hosts
from dana.platform.identity import SYSTEM
from dana.platform.positions import Position, Seen, seen
from dana.platform.replicas import Replicas
from dana.platform.shards import Shards
from tests.platform.replicas.pair import Pair

pytestmark = pytest.mark.xdist_group("replicas")


@pytest.fixture
async def shards(pair: Pair) -> AsyncIterator[Shards]:
    replicas = Replicas(pair.settings)
    shards = Shards(pair.settings, "auth", replicas)
    yield shards
    await shards.close()
    await replicas.stop()


@pytest.fixture
async def placed(shards: Shards, pair: Pair) -> OrgId:
    """An organization whose shard's replica has been sampled."""
    org_id = OrgId(new_id())
    await shards.place(org_id)
    shard = (await shards.route(org_id)).shard
    async with asyncio.timeout(20):
        while not await reads_from_replica(shards, org_id, Seen(None, may_lag=True)):
            await asyncio.sleep(0.05)
    assert shard in await shards.names()
    return org_id


async def reads_from_replica(shards: Shards, org_id: OrgId, known: Seen | None) -> bool:
    seen.set(known)
    try:
        async with shards.read(org_id) as tx:
            return bool(await tx.fetchval("select pg_is_in_recovery()"))
    finally:
        seen.set(None)


async def write(shards: Shards, org_id: OrgId, known: Seen) -> int:
    """Emit one event as a request that remembers; returns the cursor after it."""
    seen.set(known)
    try:
        async with shards.tx(org_id, SYSTEM) as tx:
            tx.emit(OrganizationCreated(name="news"))
        async with shards.read(org_id) as tx:
            return await shards.cursor(tx)
    finally:
        seen.set(None)


async def cursor_shown_to(shards: Shards, org_id: OrgId, known: Seen) -> int:
    seen.set(known)
    try:
        async with shards.read(org_id) as tx:
            return await shards.cursor(tx)
    finally:
        seen.set(None)


async def test_only_requests_that_may_lag_read_from_a_replica(shards: Shards, placed: OrgId) -> None:
    assert await reads_from_replica(shards, placed, Seen(None, may_lag=True))
    assert not await reads_from_replica(shards, placed, Seen(None, may_lag=False))
    assert not await reads_from_replica(shards, placed, None)


async def test_who_has_written_is_shown_it_though_the_replica_stands_still(
    shards: Shards, placed: OrgId, pair: Pair
) -> None:
    writer, stranger = Seen(None, may_lag=True), Seen(None, may_lag=True)
    await pair.on_replica("select pg_wal_replay_pause()")
    try:
        before = await cursor_shown_to(shards, placed, stranger)
        for _ in range(3):
            assert await write(shards, placed, writer) == before + 1
            before += 1
        assert await cursor_shown_to(shards, placed, writer) == before
        # Whoever carries nothing is shown the old state: this is what the position is for.
        assert await cursor_shown_to(shards, placed, Seen(None, may_lag=True)) < before
    finally:
        await pair.on_replica("select pg_wal_replay_resume()")


async def test_a_replica_that_has_caught_up_serves_whoever_has_written(shards: Shards, placed: OrgId) -> None:
    writer = Seen(None, may_lag=True)
    cursor = await write(shards, placed, writer)
    assert writer.at is not None
    async with asyncio.timeout(20):
        while not await reads_from_replica(shards, placed, writer):
            await asyncio.sleep(0.02)
    assert await cursor_shown_to(shards, placed, writer) == cursor


async def test_a_position_of_another_place_or_history_is_never_met_by_a_replica(
    shards: Shards, placed: OrgId
) -> None:
    route = await shards.route(placed)
    moved = Position(route.epoch + 1, 1, 1)
    later_history = Position(route.epoch, 99, 1)
    assert not await reads_from_replica(shards, placed, Seen(moved, may_lag=True))
    assert not await reads_from_replica(shards, placed, Seen(later_history, may_lag=True))


async def test_a_dead_replica_costs_no_reader_an_error(
    pair: Pair,
    servers_with_replica: tuple[str, str],
) -> None:
    primary, _ = servers_with_replica
    nobody = "127.0.0.1:9"
    url = address(primary, database="postgres", host=f"{nobody},{hosts(primary)[0]}")
    settings = replace(pair.settings, database_url=address(url, database="postgres"))
    replicas = Replicas(settings)
    shards = Shards(settings, "auth", replicas)
    try:
        org_id = OrgId(new_id())
        await shards.place(org_id)
        assert not await reads_from_replica(shards, org_id, Seen(None, may_lag=True))
        assert await write(shards, org_id, Seen(None)) == 1
    finally:
        await shards.close()
        await replicas.stop()


def test_a_later_position_is_the_greater_text() -> None:
    ordered = [Position(1, 1, 9), Position(1, 1, 16), Position(1, 2, 3), Position(2, 1, 1)]
    texts = [str(position) for position in ordered]
    assert texts == sorted(texts)
    assert [Position.parse(text) for text in texts] == ordered
    assert Position.parse("") is Position.parse("any") is Position.parse("1-2-3") is None
