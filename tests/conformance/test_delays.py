"""What is due later comes later, not before, and in its order; what it waits for is no poll."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from dana.contracts.events import MemberChanged, OrganizationCreated
from dana.contracts.ids import OrgId, UserId, new_id
from dana.platform.bus import Binding, Bus, Consumer, Envelope, Lane, Worker, pace
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from tests.conformance import days
from tests.conformance.days import LEDGER, Day, changed, until

ShardsOf = Callable[[str], Shards]


@pytest.fixture(autouse=True)
def _no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "POLL_SECONDS", 3600.0)


@asynccontextmanager
async def running(shards: Shards, binding: Binding, *consumers: Consumer | Worker) -> AsyncIterator[None]:
    bus = Bus("later", shards, list(consumers), binding)
    shards.on_commit.append(binding.committed)
    await bus.start()
    try:
        yield
    finally:
        await bus.stop()
        shards.on_commit.remove(binding.committed)


async def test_an_event_that_is_due_later_is_logged_at_once_and_delivered_then(
    shards_of: ShardsOf, binding: Binding, org: OrgId
) -> None:
    shards, seen = shards_of("conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        seen.append((event.name, datetime.now(UTC)))

    async with running(shards, binding, Consumer(OrganizationCreated, consume)):
        due = datetime.now(UTC) + timedelta(seconds=0.6)
        async with shards.tx(org, SYSTEM) as tx:
            tx.emit(OrganizationCreated(name="later"), due=due)
            tx.emit(OrganizationCreated(name="now"))
        async with shards.read(org) as tx:
            logged = await tx.fetch("select payload->>'name' as name from platform.event_log order by cursor")
        assert [row["name"] for row in logged] == ["later", "now"]
        await until(lambda: len(seen) == 2)
    assert [name for name, _ in seen] == ["now", "later"]
    assert seen[1][1] >= due


async def test_what_is_meant_for_later_is_no_old_backlog(
    shards_of: ShardsOf, binding: Binding, org: OrgId
) -> None:
    shards = shards_of("conversations")
    pool = await shards.pool((await shards.route(org)).shard)
    await pool.execute("select platform.subscribe('reminding', '{organization_created}', '{live}')")
    async with shards.tx(org, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name="in an hour"), due=datetime.now(UTC) + timedelta(hours=1))
    [waiting] = await pool.fetch("select * from platform.backlog() where consumer_group = 'reminding'")
    assert (waiting["deliveries"], waiting["state"], waiting["oldest_seconds"]) == (1, "ready", 0)
    await pool.execute("select platform.subscribe('reminding', '{}', '{}')")


async def test_a_consumers_delay_keeps_the_order_of_each_key(
    shards_of: ShardsOf, binding: Binding, org: OrgId
) -> None:
    shards, seen = shards_of("conversations"), []
    people = [UserId(new_id()) for _ in range(3)]

    async def work(envelope: Envelope, event: MemberChanged) -> None:
        assert datetime.now(UTC) - envelope.created_at >= timedelta(seconds=0.3)
        seen.append((event.member.user_id, event.member.name))

    async with running(shards, binding, Worker(MemberChanged, work, Lane.AI, delay_seconds=0.3)):
        for n in range(4):
            async with shards.tx(org, SYSTEM) as tx:
                for person in people:
                    tx.emit(changed(person, str(n)))
            await asyncio.sleep(0.05)
        await until(lambda: len(seen) == 12)
    for person in people:
        assert [name for who, name in seen if who == person] == ["0", "1", "2", "3"]


async def test_what_became_due_while_nobody_was_there_is_delivered_late_and_once(
    shards_of: ShardsOf, binding: Binding, org: OrgId
) -> None:
    shards, seen = shards_of("conversations"), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        seen.append(event.name)

    consumer = Consumer(OrganizationCreated, consume, delay_seconds=0.2)
    async with running(shards, binding, consumer), shards.tx(org, SYSTEM) as tx:
        tx.emit(OrganizationCreated(name="late"))
    assert seen == []
    await asyncio.sleep(0.3)
    async with running(shards, binding, consumer):
        await until(lambda: seen == ["late"])
    async with running(shards, binding, consumer):
        await asyncio.sleep(0.2)
    assert seen == ["late"]


async def test_a_day_that_is_delivered_late_comes_to_the_same(
    shards_of: ShardsOf, binding: Binding, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, shards = shards_of("auth"), shards_of("conversations")
    [note] = days.consumers(LEDGER, shards, lambda _: None)
    assert isinstance(note, Consumer)
    writer.on_commit.append(binding.committed)
    digests: set[str] = set()
    for delay_seconds in (0, 0.4):
        consumer = Consumer(MemberChanged, note.run, delay_seconds=delay_seconds)
        bus = Bus(LEDGER, shards, [consumer], binding)
        await bus.start()
        today = await days.new_day(day.settings, shards_of("auth"))
        await today.happen(writer)
        digests.add(await today.end((LEDGER,)))
        await bus.stop()
    assert len(digests) == 1
