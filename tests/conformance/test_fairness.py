"""A lane serves organizations by what they have had, not by who came first or has most."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from dana.contracts.events import MemberChanged, OrganizationCreated
from dana.contracts.ids import OrgId, UserId, new_id
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from tests.conformance.days import changed

ShardsOf = Callable[[str], Shards]

MINUTE = timedelta(minutes=1)


class Line:
    """One lane of one group on one shard, claimed by hand."""

    def __init__(self, shards: Shards, pool: asyncpg.Pool) -> None:
        self.group = f"fair-{new_id()}"
        self._shards = shards
        self._pool = pool

    async def subscribe(self) -> None:
        await self._pool.execute(
            "select platform.subscribe($1, '{organization_created,member_changed}', '{ai,ai}')", self.group
        )

    async def leave(self) -> None:
        await self._pool.execute("select platform.subscribe($1, '{}', '{}')", self.group)

    async def emit(self, org: OrgId, *events: OrganizationCreated | MemberChanged) -> None:
        async with self._shards.tx(org, SYSTEM) as tx:
            for event in events:
                tx.emit(event)

    async def flood(self, org: OrgId, count: int) -> None:
        await self.emit(org, *(OrganizationCreated(name=str(n)) for n in range(count)))

    async def claim(
        self, at_most: int, most_leased: int = 1000, lease: timedelta = MINUTE
    ) -> list[asyncpg.Record]:
        return await self._pool.fetch(
            "select * from platform.claim($1, 'ai', $2, $3, $4, $5)",
            self.group,
            at_most,
            lease,
            uuid4(),
            most_leased,
        )

    async def serve(self, at_most: int) -> list[OrgId]:
        """Claim and finish; returns whose turn it was, in order."""
        rows = await self._pool.fetch(
            "select c.org_id, platform.finish(c.org_id, c.cursor, $1, 'ai', $3)"
            " from platform.claim($1, 'ai', $2, interval '1 minute', $3) c",
            self.group,
            at_most,
            uuid4(),
        )
        return [OrgId(row["org_id"]) for row in rows]


@pytest.fixture
async def line(shards_of: ShardsOf, org: OrgId) -> AsyncIterator[Line]:
    shards = shards_of("conversations")
    line = Line(shards, await shards.pool((await shards.route(org)).shard))
    await line.subscribe()
    yield line
    await line.leave()


async def neighbour(shards_of: ShardsOf, org: OrgId) -> OrgId:
    """Found another organization on the same shard."""
    shards = shards_of("auth")
    while True:
        await shards.place(other := OrgId(new_id()))
        if (await shards.route(other)).shard == (await shards.route(org)).shard:
            return other


async def test_a_newcomer_is_served_next_whatever_the_backlog(
    line: Line, org: OrgId, other_org: OrgId
) -> None:
    await line.flood(org, 300)
    assert set(await line.serve(50)) == {org}
    await line.flood(other_org, 1)
    assert other_org in await line.serve(2)


async def test_two_who_flood_share_evenly_and_silence_is_not_paid(
    line: Line, org: OrgId, other_org: OrgId
) -> None:
    await line.flood(org, 300)
    for _ in range(10):
        await line.serve(10)  # while the other one is silent
    await line.flood(other_org, 300)
    turns = Counter([turn for _ in range(20) for turn in await line.serve(3)])
    assert abs(turns[org] - turns[other_org]) <= 3


async def test_many_organizations_all_come_before_the_flood_comes_twice(
    line: Line, org: OrgId, shards_of: ShardsOf
) -> None:
    others = [await neighbour(shards_of, org) for _ in range(12)]
    await line.flood(org, 200)
    await line.serve(20)
    for other in others:
        await line.flood(other, 2)
    turns = Counter(await line.serve(13))
    assert set(turns) >= set(others)
    assert turns[org] <= 2


async def test_no_organization_holds_more_than_its_part_of_the_slots(
    line: Line, org: OrgId, other_org: OrgId
) -> None:
    await line.flood(org, 50)
    assert len(await line.claim(8, most_leased=3)) == 3
    assert await line.claim(8, most_leased=3) == []
    await line.flood(other_org, 2)
    assert {row["org_id"] for row in await line.claim(8, most_leased=3)} == {other_org}
    assert len(await line.claim(8, most_leased=5)) == 2


async def test_a_lease_that_ran_out_counts_no_more(line: Line, org: OrgId) -> None:
    await line.flood(org, 20)
    first = await line.claim(8, most_leased=3, lease=timedelta(0))
    again = await line.claim(8, most_leased=3)
    assert [row["cursor"] for row in first] == [row["cursor"] for row in again]
    assert {row["attempts"] for row in again} == {2}


@pytest.mark.parametrize("keys", [1, 150], ids=["few keys", "many keys"])
async def test_what_waits_behind_one_that_is_stuck_holds_nobody_else_up(
    line: Line, org: OrgId, keys: int
) -> None:
    """The oldest hundreds can't be claimed: each waits for the first of its key, which is leased."""
    people = [UserId(new_id()) for _ in range(keys)]
    await line.emit(org, *(changed(person, "first") for person in people))
    stuck = 0
    while stuck < keys:
        stuck += len(await line.claim(keys - stuck))
    for _ in range(300 // keys):
        await line.emit(org, *(changed(person, "behind") for person in people))
    free, keyless = UserId(new_id()), OrganizationCreated(name="no key")
    await line.emit(org, changed(free, "free"), keyless)
    claimed: list[str] = []
    for _ in range(200):  # with many keys, each look is at some of them
        claimed += [row["payload"] for row in await line.claim(8)]
        if len(claimed) == 2:
            break
    assert sorted(payload[:9] for payload in claimed) == ['{"member"', '{"name":"']
    assert str(free) in "".join(claimed)


async def test_the_first_of_a_key_that_failed_still_holds_its_key(line: Line, org: OrgId) -> None:
    person = UserId(new_id())
    await line.emit(org, changed(person, "1"), changed(person, "2"))
    token = uuid4()
    [first] = await line._pool.fetch(
        "select * from platform.claim($1, 'ai', 8, interval '1 minute', $2)", line.group, token
    )
    async with line._shards.tx(org, SYSTEM) as tx:
        await tx.execute(
            "select platform.postpone($1, $2, $3, 'ai', $4, 'no', interval '1 hour', false)",
            org,
            first["cursor"],
            line.group,
            token,
        )
    assert await line.claim(8) == []
