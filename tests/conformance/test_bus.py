"""What every binding of the bus promises: effects once, in order per key, nothing forgotten."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from dana.contracts.events import MemberChanged, MemberJoined, OrganizationCreated
from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import MemberView, Role
from dana.platform import deadletters
from dana.platform.bus import Binding, Bus, Consumer, Envelope, Lane, Worker, pace
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.settings import Settings
from dana.platform.shards import Shards

ShardsOf = Callable[[str], Shards]

GROUP = "conformance"  # a group of its own, beside whatever else runs on these databases


pytestmark = pytest.mark.usefixtures("short_pauses")


@asynccontextmanager
async def running(shards: Shards, binding: Binding, *consumers: Consumer | Worker) -> AsyncIterator[Bus]:
    bus = Bus(GROUP, shards, list(consumers), binding)
    shards.on_commit.append(binding.committed)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()
        shards.on_commit.remove(binding.committed)
        await _unsubscribe(shards)


async def _unsubscribe(shards: Shards) -> None:
    for shard in await shards.names():
        await (await shards.pool(shard)).execute("select platform.subscribe($1, '{}', '{}')", GROUP)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def say(shards: Shards, org: OrgId, name: str) -> None:
    async with shards.tx(org, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name=name))


def member(user_id: UserId, name: str) -> MemberView:
    return MemberView(user_id=user_id, name=name, email="a@b.example", role=Role.AGENT)


async def test_a_commit_reaches_its_consumer_and_leaves_nothing_due(
    shards_of: ShardsOf, binding: Binding, org: OrgId
) -> None:
    shards, seen = shards_of("conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        seen.append((tx.org_id, event.name))

    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        await say(shards, org, "hello")
        await until(lambda: seen == [(org, "hello")])
        await asyncio.sleep(0.2)
    assert seen == [(org, "hello")]


async def test_an_event_from_before_the_start_is_consumed_after_it(
    shards_of: ShardsOf, binding: Binding, org: OrgId
) -> None:
    shards, seen = shards_of("conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        seen.append(event.name)

    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        pass
    for shard in await shards.names():
        pool = await shards.pool(shard)
        await pool.execute("select platform.subscribe($1, '{organization_created}', '{live}')", GROUP)
    await say(shards, org, "while nobody listened")
    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        await until(lambda: seen == ["while nobody listened"])


async def test_effects_of_a_failed_attempt_are_undone_and_the_next_one_counts(
    shards_of: ShardsOf, binding: Binding, org: OrgId
) -> None:
    shards, attempts = shards_of("conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        attempts.append(event.name)
        tx.emit(MemberJoined(member=member(UserId(new_id()), "effect")))
        if len(attempts) < 3:
            raise RuntimeError("not yet")

    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        await say(shards, org, "third time lucky")
        await until(lambda: len(attempts) == 3)
        await asyncio.sleep(0.1)
    async with shards.read(org) as tx:
        effects = await tx.fetchval("select count(*) from platform.event_log where type = 'member_joined'")
    assert effects == 1


async def test_poison_is_laid_aside_shown_and_can_be_sent_again(
    shards_of: ShardsOf, binding: Binding, org: OrgId, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MAX_ATTEMPTS", 3)
    shards, seen = shards_of("conversations"), []
    is_cured = False

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        seen.append(event.name)
        if event.name == "poison" and not is_cured:
            raise ValueError("can't swallow this")

    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        await say(shards, org, "poison")
        await say(shards, org, "food")
        await until(lambda: seen.count("poison") == 3 and "food" in seen)
        await asyncio.sleep(0.2)
        [dead] = [letter for letter in await deadletters.dead(settings) if letter.org_id == org]
        assert dead.attempts == 3
        assert "can't swallow this" in (dead.reason or "")
        is_cured = True
        assert await deadletters.redrive(settings, org_id=org) == 1
        await until(lambda: seen.count("poison") == 4)
        await asyncio.sleep(0.1)
    assert [letter for letter in await deadletters.dead(settings) if letter.org_id == org] == []


async def test_events_of_one_key_come_in_order_though_many_run_at_once(
    shards_of: ShardsOf, binding: Binding, org: OrgId
) -> None:
    shards = shards_of("conversations")
    people = [UserId(new_id()) for _ in range(6)]
    seen: dict[UserId, list[str]] = {person: [] for person in people}
    stumbled: set[tuple[UserId, str]] = set()
    at_once, most_at_once = 0, 0

    async def consume(tx: Tx, event: MemberChanged) -> None:
        nonlocal at_once, most_at_once
        person, name = event.member.user_id, event.member.name
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(0.002)
        at_once -= 1
        if name in "258" and (person, name) not in stumbled:
            stumbled.add((person, name))
            raise RuntimeError("stumbles now and then")
        seen[person].append(name)

    async with running(shards, binding, Consumer(MemberChanged, consume)):
        for n in range(10):
            async with shards.tx(org, SYSTEM) as tx:
                for person in people:
                    tx.emit(MemberChanged(member=member(person, str(n))))
        await until(lambda: all(len(names) == 10 for names in seen.values()))
    assert all(names == sorted(names) for names in seen.values())
    assert most_at_once > 1


async def test_a_dead_workers_event_is_taken_up_by_another(
    shards_of: ShardsOf, binding: Binding, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LEASE_SECONDS", 0.3)
    shards, seen = shards_of("conversations"), []
    for shard in await shards.names():
        pool = await shards.pool(shard)
        await pool.execute("select platform.subscribe($1, '{organization_created}', '{ai}')", GROUP)
    await say(shards, org, "orphan")
    pool = await shards.pool((await shards.route(org)).shard)
    claimed = await pool.fetch(
        "select * from platform.claim($1, 'ai', 10, interval '300 ms', $2)", GROUP, uuid4()
    )
    assert [row["org_id"] for row in claimed] == [org]

    async def work(envelope: Envelope, event: OrganizationCreated) -> None:
        seen.append((event.name, envelope.attempt))

    async with running(shards, binding, Worker(OrganizationCreated, work, Lane.AI)):
        await until(lambda: bool(seen))
    assert seen == [("orphan", 2)]


async def test_long_work_keeps_its_lease(
    shards_of: ShardsOf, binding: Binding, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LEASE_SECONDS", 0.3)
    shards, begun, ended = shards_of("conversations"), [], []

    async def work(envelope: Envelope, event: OrganizationCreated) -> None:
        begun.append(event.name)
        await asyncio.sleep(1.2)
        ended.append(event.name)

    async with running(shards, binding, Worker(OrganizationCreated, work, Lane.AI)):
        await say(shards, org, "slow")
        await until(lambda: bool(ended))
        await asyncio.sleep(0.5)
    assert (begun, ended) == (["slow"], ["slow"])


async def test_a_consumer_whose_lease_ran_out_leaves_no_effects(
    shards_of: ShardsOf, binding: Binding, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LEASE_SECONDS", 0.2)
    shards, runs = shards_of("conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        runs.append(event.name)
        is_first = len(runs) == 1
        tx.emit(MemberJoined(member=member(UserId(new_id()), "effect")))
        await asyncio.sleep(1.0 if is_first else 0)

    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        await say(shards, org, "slow the first time")
        await until(lambda: len(runs) >= 2)
        await asyncio.sleep(1.2)
    async with shards.read(org) as tx:
        effects = await tx.fetchval("select count(*) from platform.event_log where type = 'member_joined'")
    assert effects == 1


async def test_stopping_lets_running_work_end(shards_of: ShardsOf, binding: Binding, org: OrgId) -> None:
    shards, begun, ended = shards_of("conversations"), [], []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        begun.append(event.name)
        await asyncio.sleep(0.3)
        ended.append(event.name)

    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        await say(shards, org, "let me finish")
        await until(lambda: bool(begun))
    assert ended == ["let me finish"]


async def test_a_database_that_is_away_for_a_while_costs_time_only(
    shards_of: ShardsOf, binding: Binding, org: OrgId, settings: Settings
) -> None:
    shards, seen = shards_of("conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        seen.append(event.name)

    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        admin = await asyncpg.connect(settings.database_url)
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'dana_conversations'"
        )
        await admin.close()
        await _persistently(lambda: say(shards, org, "after the cut"))
        await until(lambda: "after the cut" in seen)


async def test_an_outage_is_told_once_and_so_is_its_end(
    shards_of: ShardsOf, binding: Binding, org: OrgId, settings: Settings
) -> None:
    shards, seen = shards_of("conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        seen.append(event.name)

    admin = await asyncpg.connect(settings.database_url)
    with capture_logs() as logs:
        async with running(shards, binding, Consumer(OrganizationCreated, consume)):
            await admin.execute("alter role dana_conversations nologin")
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'dana_conversations'"
            )
            await until(lambda: count(logs, "claim_failed") >= 2)  # there are two shards
            await asyncio.sleep(0.5)  # ten polls
            assert count(logs, "claim_failed") == 2
            await admin.execute("alter role dana_conversations login")
            await until(lambda: count(logs, "claim_works_again") == 2)
            await _persistently(lambda: say(shards, org, "after the outage"))
            await until(lambda: "after the outage" in seen)
    await admin.close()
    assert (count(logs, "claim_failed"), count(logs, "claim_works_again")) == (2, 2)


def count(logs: list[Any], event: str) -> int:
    """Count lines about this group's claims."""
    return len([line for line in logs if line["event"] == event and line["group"] == GROUP])


async def _persistently(act: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(20):
        try:
            await act()
        except Exception:  # noqa: BLE001 - the first tries meet dead connections, that is the point
            await asyncio.sleep(0.05)
        else:
            return
