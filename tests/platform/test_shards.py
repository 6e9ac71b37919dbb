"""Transactions go to the right shard, are fenced, and publish exactly what they commit."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.catalog import Route
from dana.platform.errors import Invalid, Missing, Unavailable
from dana.platform.identity import SYSTEM
from dana.platform.network import NetworkInTransactionError, forbid_network_in_tx
from dana.platform.outbox import Outbox
from dana.platform.settings import Settings
from dana.platform.shards import Shards

ShardsOf = Callable[[str], Shards]


async def log_of(shards: Shards, org: OrgId) -> list[tuple[int, str]]:
    async with shards.read(org) as tx:
        rows = await tx.fetch("select cursor, type from platform.event_log order by cursor")
    return [(row["cursor"], row["type"]) for row in rows]


async def test_events_and_state_commit_together_with_a_gapless_cursor(
    shards_of: ShardsOf, org: OrgId
) -> None:
    shards = shards_of("conversations")
    seen: list[tuple[int, list[str]]] = []
    shards.on_commit.append(
        lambda org_id, first, outbox: seen.append((first, [event.type for event in outbox.events]))
    )

    async def write(n: int) -> None:
        async with shards.tx(org, SYSTEM) as tx:
            tx.emit(OrganizationCreated(name=f"first {n}"))
            tx.emit(OrganizationCreated(name=f"second {n}"))

    await asyncio.gather(*(write(n) for n in range(20)))
    assert [cursor for cursor, _ in await log_of(shards, org)] == list(range(1, 41))
    assert sorted(first for first, _ in seen) == list(range(1, 41, 2))


async def test_nothing_is_published_by_a_transaction_that_fails(shards_of: ShardsOf, org: OrgId) -> None:
    shards = shards_of("conversations")
    seen: list[Outbox] = []
    shards.on_commit.append(lambda org_id, first, outbox: seen.append(outbox))
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with shards.tx(org, SYSTEM) as tx:
            tx.emit(OrganizationCreated(name="never"))
            raise RuntimeError("changed my mind")
    assert await log_of(shards, org) == []
    assert seen == []


async def test_an_organization_never_sees_the_events_of_another(
    shards_of: ShardsOf, org: OrgId, other_org: OrgId
) -> None:
    shards = shards_of("conversations")
    async with shards.tx(org, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name="ours"))
    assert len(await log_of(shards, org)) == 1
    assert await log_of(shards, other_org) == []


async def test_a_stale_route_is_fenced_refreshed_and_retried(shards_of: ShardsOf, org: OrgId) -> None:
    shards = shards_of("conversations")
    right = await shards.route(org)
    shards._routes[org] = Route(right.shard, right.epoch + 7)
    async with shards.tx(org, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name="after the refresh"))
    assert await shards.route(org) == right
    assert len(await log_of(shards, org)) == 1


async def test_an_organization_that_is_frozen_answers_unavailable(
    settings: Settings, shards_of: ShardsOf, org: OrgId
) -> None:
    shards = shards_of("conversations")
    route = await shards.route(org)
    admin = await asyncpg.connect(
        settings.database_url.rpartition("/")[0] + f"/dana_{route.shard}", timeout=5
    )
    await admin.execute("update platform.org_placement set state = 'frozen' where org_id = $1", org)
    await admin.close()
    with pytest.raises(Unavailable):
        async with shards.tx(org, SYSTEM):
            pass


async def test_an_unknown_organization_is_missing(shards_of: ShardsOf) -> None:
    with pytest.raises(Missing):
        async with shards_of("conversations").read(OrgId(new_id())):
            pass


async def test_a_role_cannot_touch_a_foreign_schema(shards_of: ShardsOf, org: OrgId) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with shards_of("realtime").read(org) as tx:
            await tx.fetch("select * from conversations.messages")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with shards_of("conversations").read(org) as tx:
            await tx.fetch("select * from platform.org_placement")


async def test_a_network_call_inside_a_transaction_is_refused(shards_of: ShardsOf, org: OrgId) -> None:
    forbid_network_in_tx()
    async with shards_of("conversations").tx(org, SYSTEM):
        with pytest.raises(NetworkInTransactionError):
            forbid_network_in_tx()
    forbid_network_in_tx()


async def test_new_organizations_spread_over_all_shards(shards_of: ShardsOf) -> None:
    shards = shards_of("auth")
    homes = set()
    for _ in range(4):
        org_id = OrgId(new_id())
        await shards.place(org_id)
        await shards.place(org_id)
        homes.add((await shards.route(org_id)).shard)
    assert homes == set(await shards.names())


async def test_text_that_postgresql_cannot_store_is_invalid(shards_of: ShardsOf, org: OrgId) -> None:
    with pytest.raises(Invalid, match="U\\+0000"):
        async with shards_of("conversations").read(org) as tx:
            await tx.fetchval("select $1::text", "a\0b")
