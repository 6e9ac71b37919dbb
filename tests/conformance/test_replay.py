"""Replays: past events come to one group again, in order, whatever is asked for; interrupted ones go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dana.contracts.ids import OrgId, new_id
from dana.platform import replaying
from dana.platform.bus import Binding, Bus
from dana.platform.errors import Invalid, Missing, Problem, Unavailable
from dana.platform.replaying import Replay, replay
from dana.platform.servers import administer, shard_address, shard_addresses
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.conformance import days
from tests.conformance.days import GROUPS, LEDGER, Day

ShardsOf = Callable[[str], Shards]

WAITING = """
select count(*) from pg_locks where locktype = 'advisory' and not granted
   and database = (select oid from pg_database where datname = current_database())"""

pytestmark = pytest.mark.usefixtures("short_pauses")


@asynccontextmanager
async def everybody_at_work(shards: Shards, binding: Binding) -> AsyncIterator[None]:
    buses = [Bus(group, shards, days.consumers(group, shards, lambda _: None), binding) for group in GROUPS]
    try:
        for bus in buses:
            await bus.start()
        yield
    finally:
        for bus in buses:
            await bus.stop()


@pytest.fixture
async def past(shards_of: ShardsOf, binding: Binding, day: Day) -> AsyncIterator[Day]:
    """A day that is over, while its workers are still there."""
    writer = shards_of("auth")
    writer.on_commit.append(binding.committed)
    async with everybody_at_work(shards_of("conversations"), binding):
        await day.happen(writer)
        assert await day.end() == day.undisturbed
        yield day


async def forget(day: Day, *, org_id: OrgId | None = None, key: UUID | None = None) -> None:
    """Let the ledger lose what it has made of the past."""
    for dsn in (await shard_addresses(day.settings)).values():
        async with administer(dsn) as shard:
            await shard.execute(
                "delete from conformance.effects where consumer_group = $1 and org_id = any ($2)"
                " and ($3::uuid is null or key = $3)",
                LEDGER,
                [org_id] if org_id else day.orgs,
                key,
            )
    assert await day.digest() != day.undisturbed


async def test_one_organization_comes_again(settings: Settings, past: Day) -> None:
    org_id = past.orgs[0]
    await forget(past, org_id=org_id)
    assert await replay(settings, Replay(LEDGER, org_id)) > 0
    assert await past.end() == past.undisturbed


async def test_one_conversation_comes_again(settings: Settings, past: Day) -> None:
    org_id, person = past.orgs[1], past.person(past.orgs[1], 1)
    await forget(past, org_id=org_id, key=person)
    assert await replay(settings, Replay(LEDGER, org_id, key=person)) == days.EVENTS
    assert await past.end() == past.undisturbed


async def test_time_after_time_comes_again(settings: Settings, shards_of: ShardsOf, past: Day) -> None:
    await forget(past)
    for org_id in past.orgs:
        async with shards_of("auth").read(org_id) as tx:
            times = await tx.fetch("select distinct created_at from platform.event_log order by 1")
        middle = times[len(times) // 2]["created_at"]
        assert await replay(settings, Replay(LEDGER, org_id, until=middle)) > 0
        await past.end()
        assert await past.digest() != past.undisturbed
        assert await replay(settings, Replay(LEDGER, org_id, since=middle)) > 0
    assert await past.end() == past.undisturbed


async def test_an_interrupted_replay_goes_on_where_it_stood(
    settings: Settings, past: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "KEYS_AT_ONCE", 1)
    org_id = past.orgs[0]
    await forget(past, org_id=org_id)

    def lose_power(so_far: int) -> None:
        raise RuntimeError("no power")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="no power"):
            await replay(settings, Replay(LEDGER, org_id), lose_power)
        await past.end()
        assert await past.digest() != past.undisturbed
    await replay(settings, Replay(LEDGER, org_id))
    assert await past.end() == past.undisturbed


async def test_two_who_ask_for_the_same_at_once_get_it_once(
    settings: Settings, past: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "KEYS_AT_ONCE", 1)
    org_id = past.orgs[0]
    await forget(past, org_id=org_id)
    async with administer(
        await shard_address(settings, await replaying._shard_of(settings, org_id))
    ) as shard:
        await shard.execute("select pg_advisory_lock(hashtextextended($1, 0))", str(org_id))
        asking = [asyncio.create_task(replay(settings, Replay(LEDGER, org_id))) for _ in range(3)]
        async with asyncio.timeout(30):  # all have begun before the first one can end
            while await shard.fetchval(WAITING) < len(asking):
                await asyncio.sleep(0.02)
        await shard.execute("select pg_advisory_unlock(hashtextextended($1, 0))", str(org_id))
        await asyncio.gather(*asking)
    assert await past.end() == past.undisturbed


async def test_nonsense_is_refused_with_a_sentence(settings: Settings, past: Day) -> None:
    now, org_id = datetime.now(UTC), past.orgs[0]
    hour = timedelta(hours=1)
    refusals: list[tuple[Replay, type[Problem], str]] = [
        (Replay("nobody", org_id), Missing, "There is no consumer named nobody; there are: .*ledger"),
        (Replay(LEDGER, OrgId(new_id())), Missing, "There is no organization"),
        (Replay(LEDGER, org_id, key=new_id()), Missing, "Nothing has happened in"),
        (Replay(LEDGER, org_id, since=now, until=now - hour), Invalid, "ends before it begins"),
        (Replay(LEDGER, org_id, since=now + hour), Invalid, "in the future"),
        (Replay(LEDGER, org_id, until=now - 2000 * hour), Invalid, "are gone"),
        (Replay("relay", org_id), Invalid, "streams"),
    ]
    for asked, problem, sentence in refusals:
        with pytest.raises(problem, match=sentence):
            await replay(settings, asked)
    assert await past.end() == past.undisturbed


async def test_nothing_is_replayed_while_the_organization_moves(
    settings: Settings, shards_of: ShardsOf, past: Day
) -> None:
    org_id = past.orgs[0]
    home = (await shards_of("auth").route(org_id)).shard
    async with administer(await shard_address(settings, home)) as shard:
        state = "update platform.org_placement set state = $2 where org_id = $1"
        await shard.execute(state, org_id, "frozen")
        with pytest.raises(Unavailable, match="is being moved"):
            await replay(settings, Replay(LEDGER, org_id))
        await shard.execute(state, org_id, "active")
    assert await past.digest() == past.undisturbed
