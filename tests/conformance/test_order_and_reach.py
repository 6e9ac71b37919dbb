"""Eight workers, three groups, no wake-ups, poison in between: the day comes to the same."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from dana.contracts.events import MemberChanged, OrganizationCreated
from dana.contracts.ids import OrgId
from dana.platform import deadletters
from dana.platform.bus import Binding, Bus, Consumer, Listener, Release, pace
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.outbox import Outbox
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey
from tests.conformance import bindings, days
from tests.conformance.days import GROUPS, LEDGER, Day
from tests.conformance.staff import Staff

ShardsOf = Callable[[str], Shards]

pytestmark = pytest.mark.usefixtures("short_pauses")


@asynccontextmanager
async def workers(settings: Settings, binding: Binding, count: int) -> AsyncIterator[None]:
    """Let many workers consume for all groups, each with connections of its own."""
    few = replace(settings, pool_size=4)  # all are on one server
    everybody = [Shards(few, "conversations") for _ in range(count)]
    buses = [
        Bus(group, shards, days.consumers(group, shards, lambda _: None), binding)
        for shards in everybody
        for group in GROUPS
    ]
    try:
        for bus in buses:
            await bus.start()
        yield
    finally:
        for bus in buses:
            await bus.stop()
        for shards in everybody:
            await shards.close()


async def test_eight_workers_keep_the_order_of_each_key_in_every_group(
    settings: Settings, shards_of: ShardsOf, binding: Binding, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "POLL_SECONDS", 0.5)
    writer = shards_of("auth")
    writer.on_commit.append(binding.committed)
    async with workers(settings, binding, 8):
        await day.happen(writer)
        assert await day.end() == day.undisturbed


async def test_processes_that_share_the_work_keep_the_order_too(
    shards_of: ShardsOf, binding: Binding, staff: Staff, day: Day
) -> None:
    writer = shards_of("auth")
    writer.on_commit.append(binding.committed)
    for _ in range(3):
        await staff.hire()
    await day.happen(writer)
    assert await day.end() == day.undisturbed


class Deaf:
    """A binding whose every word is lost on the way to the lanes."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self.poll_seconds = 0.05
        self.lost = 0

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def open(self, listener: Listener) -> None:
        await self._binding.open(_Unheard(listener, self))

    async def close(self, listener: Listener) -> None:
        pass

    def committed(self, org_id: OrgId, first_cursor: int, outbox: Outbox) -> None:
        self._binding.committed(org_id, first_cursor, outbox)


class _Unheard:
    """What the binding takes for a lane."""

    def __init__(self, listener: Listener, deaf: Deaf) -> None:
        self.shard, self.group, self.lane = listener.shard, listener.group, listener.lane
        self.types, self.slots = listener.types, listener.slots
        self._deaf = deaf

    def wake(self, release: Release | None = None) -> None:
        self._deaf.lost += 1
        if release is not None:
            release()


async def test_when_every_wake_up_is_lost_nothing_is(
    settings: Settings, shards_of: ShardsOf, valkey: Valkey, day: Day
) -> None:
    real, writer = bindings.make_binding(settings, valkey), shards_of("auth")
    await real.start()
    deaf = Deaf(real)
    writer.on_commit.append(deaf.committed)
    async with workers(settings, deaf, 2):
        await day.happen(writer)
        assert await day.end() == day.undisturbed
        assert deaf.lost > 0
    await real.stop()


async def test_wakes_reach_other_processes_long_before_the_poll(
    settings: Settings, shards_of: ShardsOf, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, org: OrgId
) -> None:
    monkeypatch.setattr(pace, "POLL_SECONDS", 3600.0)
    seen: list[str] = []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        seen.append(event.name)

    elsewhere = Valkey(settings.redis_url)  # as in another process
    await elsewhere.start()
    here, there = bindings.make_binding(settings, valkey), bindings.make_binding(settings, elsewhere)
    writer, consuming = shards_of("auth"), shards_of("conversations")
    writer.on_commit.append(here.committed)
    bus = Bus("elsewhere", consuming, [Consumer(OrganizationCreated, consume)], there)
    await here.start()
    await there.start()
    await bus.start()
    for n in range(5):
        async with writer.tx(org, SYSTEM) as tx:
            tx.emit(OrganizationCreated(name=str(n)))
        await days.until(lambda: len(seen) > n)  # noqa: B023 - it is asked before the next round
    await bus.stop()
    await there.stop()
    await here.stop()
    await elsewhere.stop()
    assert seen == [str(n) for n in range(5)]


async def test_poison_is_laid_aside_and_everything_else_goes_on(
    settings: Settings,
    shards_of: ShardsOf,
    binding: Binding,
    monkeypatch: pytest.MonkeyPatch,
    day: Day,
) -> None:
    monkeypatch.setattr(pace, "MAX_ATTEMPTS", 3)
    writer, shards = shards_of("auth"), shards_of("conversations")
    writer.on_commit.append(binding.committed)
    [note] = days.consumers(LEDGER, shards, lambda _: None)
    is_cured = False

    async def swallow(tx: Tx, event: MemberChanged) -> None:
        await note.run(tx, event)  # type: ignore[arg-type]
        if event.member.name == "7" and event.member.user_id == day.person(tx.org_id, 0) and not is_cured:
            raise ValueError("can't swallow this")

    bus = Bus(LEDGER, shards, [Consumer(MemberChanged, swallow)], binding)
    await bus.start()
    await day.happen(writer)
    without = await day.end((LEDGER,))
    letters = [letter for letter in await deadletters.dead(settings) if letter.org_id in day.orgs]
    assert {letter.org_id for letter in letters} == set(day.orgs)
    assert {(letter.group, letter.type, letter.attempts) for letter in letters} == {
        (LEDGER, "member_changed", 3)
    }
    assert all("ValueError: can't swallow this" in (letter.reason or "") for letter in letters)
    is_cured = True
    for org_id in day.orgs:
        assert await deadletters.redrive(settings, org_id) == 1
    assert await day.end((LEDGER,)) != without
    assert [letter for letter in await deadletters.dead(settings) if letter.org_id in day.orgs] == []
    await bus.stop()
