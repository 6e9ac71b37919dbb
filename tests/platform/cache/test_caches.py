"""One cache and its neighbours: what is fetched how often, what is dropped when, what never gets in."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dana.contracts.ids import OrgId, new_id
from dana.platform import positions
from dana.platform.cache import Cache, Caches, caches
from dana.platform.errors import Missing, Unavailable
from dana.platform.local.valkey import Valkey as Server
from dana.platform.network import NetworkInTransactionError, open_transactions
from dana.platform.positions import Seen
from dana.platform.valkey import Valkey
from tests.platform.cache.conftest import MakeCaches

ORG, OTHER = OrgId(new_id()), OrgId(new_id())


class Greeting(msgspec.Struct, frozen=True):
    """Something worth caching."""

    text: str


class Source:
    """Where the truth is; a reader may be held up after it has read, as a slow network does."""

    def __init__(self, text: str | None = "hello") -> None:
        self.text = text
        self.reads = 0
        self.has_read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def load(self) -> Greeting:
        self.reads += 1
        text = self.text
        self.has_read.set()
        await self.go_on.wait()
        if text is None:
            raise Missing("There is no greeting.")
        return Greeting(text)


def greetings(of: Caches) -> Cache[Greeting]:
    return of.of("greeting", Greeting)


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def test_the_source_is_asked_once_for_everybody(make_caches: MakeCaches) -> None:
    here, there = greetings(await make_caches()), greetings(await make_caches())
    source = Source()
    source.go_on.clear()
    waiting = asyncio.gather(*(here.get(ORG, "a", source.load) for _ in range(100)))
    await source.has_read.wait()
    source.go_on.set()
    assert await waiting == [Greeting("hello")] * 100
    assert await there.get(ORG, "a", source.load) == Greeting("hello")
    assert source.reads == 1


async def test_who_gives_up_waiting_leaves_the_others_waiting(make_caches: MakeCaches) -> None:
    cache, source = greetings(await make_caches()), Source()
    source.go_on.clear()
    impatient = asyncio.create_task(cache.get(ORG, "a", source.load))
    patient = asyncio.create_task(cache.get(ORG, "a", source.load))
    await source.has_read.wait()
    impatient.cancel()
    source.go_on.set()
    assert await patient == Greeting("hello")
    assert source.reads == 1


async def test_what_fails_is_not_kept_and_fails_for_whoever_waited(make_caches: MakeCaches) -> None:
    cache, source = greetings(await make_caches()), Source()

    async def fail() -> Greeting:
        raise Unavailable("The database is away.")

    outcomes: list[Any] = await asyncio.gather(
        *(cache.get(ORG, "a", fail) for _ in range(5)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
    assert await cache.get(ORG, "a", source.load) == Greeting("hello")


async def test_one_organization_never_gets_the_others(make_caches: MakeCaches) -> None:
    cache = greetings(await make_caches())
    mine, theirs = Source("mine"), Source("theirs")
    for _ in range(2):
        assert await cache.get(ORG, "a", mine.load) == Greeting("mine")
        assert await cache.get(OTHER, "a", theirs.load) == Greeting("theirs")
    await cache.forget(OTHER, "a")
    theirs.text = "changed"
    assert await cache.get(ORG, "a", mine.load) == Greeting("mine")
    assert await cache.get(OTHER, "a", theirs.load) == Greeting("changed")
    assert mine.reads == 1


async def test_a_change_is_seen_here_at_once_and_elsewhere_when_told(make_caches: MakeCaches) -> None:
    here, there = greetings(await make_caches()), greetings(await make_caches())
    source = Source()
    for cache in (here, there):
        await cache.get(ORG, "a", source.load)
    source.text = "changed"
    assert here.forget_soon(ORG, "a")
    assert await here.get(ORG, "a", source.load) == Greeting("changed")
    await there.catch_up(ORG, "a")
    assert await there.get(ORG, "a", source.load) == Greeting("changed")
    assert source.reads == 2


async def test_an_exact_read_needs_nobody_to_have_been_told(make_caches: MakeCaches) -> None:
    here, there = greetings(await make_caches()), greetings(await make_caches())
    source = Source()
    for round_ in range(50):
        await there.get(ORG, "a", source.load)
        source.text = str(round_)
        await here.forget(ORG, "a")
        assert await there.get(ORG, "a", source.load, is_exact=True) == Greeting(str(round_))


@pytest.mark.parametrize("is_own", [True, False])
async def test_what_was_read_before_a_change_does_not_get_in_after_it(
    make_caches: MakeCaches, *, is_own: bool
) -> None:
    here, there = greetings(await make_caches()), greetings(await make_caches())
    source = Source("old")
    source.go_on.clear()
    slow = asyncio.create_task(here.get(ORG, "a", source.load))
    await source.has_read.wait()
    source.text = "new"
    await (here if is_own else there).forget(ORG, "a")
    await here.catch_up(ORG, "a")
    source.go_on.set()
    assert await slow == Greeting("old"), "it began before the change"
    for cache in (here, there):
        assert await cache.get(ORG, "a", source.load) == Greeting("new")


@pytest.mark.parametrize("is_own", [True, False])
async def test_who_asks_after_a_change_does_not_wait_for_a_fetch_from_before_it(
    make_caches: MakeCaches, *, is_own: bool
) -> None:
    here, there = greetings(await make_caches()), greetings(await make_caches())
    old, new = Source("old"), Source("new")
    old.go_on.clear()
    slow = asyncio.create_task(here.get(ORG, "a", old.load))
    await old.has_read.wait()
    await (here if is_own else there).forget(ORG, "a")
    await here.catch_up(ORG, "a")
    assert await here.get(ORG, "a", new.load) == Greeting("new")
    old.go_on.set()
    assert await slow == Greeting("old")
    assert await here.get(ORG, "a", old.load) == Greeting("new")


async def test_what_valkey_answered_before_a_change_is_not_kept_after_it(make_caches: MakeCaches) -> None:
    here, there = greetings(await make_caches()), greetings(await make_caches())
    source = Source("old")
    await there.get(ORG, "a", source.load)
    reading = asyncio.create_task(here.get(ORG, "a", source.load))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the question is on its way now, and the change right behind it
    source.text = "new"
    assert here.forget_soon(ORG, "a")
    assert await reading == Greeting("old")
    assert await here.get(ORG, "a", source.load) == Greeting("new")


async def test_nothing_being_there_is_remembered_until_something_is(make_caches: MakeCaches) -> None:
    here, there = greetings(await make_caches()), greetings(await make_caches())
    source = Source(None)
    for cache in (here, here, there):
        with pytest.raises(Missing, match=r"There is no greeting\."):
            await cache.get(ORG, "a", source.load)
    assert source.reads == 1
    source.text = "hello"
    await here.forget(ORG, "a")
    await there.catch_up(ORG, "a")
    assert await there.get(ORG, "a", source.load) == Greeting("hello")


async def test_it_stays_within_its_bounds(make_caches: MakeCaches) -> None:
    few = await make_caches(most_entries=10)
    small = await make_caches(most_bytes=20_000)
    for number in range(50):
        source = Source("x" * 1000)
        for each in (few, small):
            await greetings(each).get(ORG, str(number), source.load)
            await greetings(each).get(ORG, "often", source.load)
    assert len(few.local) == 10
    assert 0 < small.local.size <= 20_000
    source = Source()
    for each in (few, small):
        await greetings(each).get(ORG, "often", source.load)
    assert source.reads == 0, "what is read often stays"
    await greetings(few).get(ORG, "huge", Source("x" * 300_000).load)
    await greetings(small).get(ORG, "huge", source.load)
    assert source.reads == 1, "what is too large is kept nowhere"


async def test_an_old_value_is_served_while_it_is_looked_up_again(
    make_caches: MakeCaches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "FRESH_SECONDS", 0.0)
    made = await make_caches()
    cache, source = greetings(made), Source()
    await cache.get(ORG, "a", source.load)
    before = caches.READS.labels("greeting", "shared")._value.get()
    assert await cache.get(ORG, "a", source.load) == Greeting("hello")
    await until(lambda: caches.READS.labels("greeting", "shared")._value.get() == before + 1)
    assert source.reads == 1


async def test_all_is_dropped_when_valkey_is_emptied(make_caches: MakeCaches, server: Server) -> None:
    cache, source = greetings(await make_caches()), Source()
    await cache.get(ORG, "a", source.load)
    operator = Valkey(server.url)
    assert await operator.start()
    await operator.call("FLUSHALL")
    await operator.stop()
    await cache.catch_up(ORG, "a")
    await cache.get(ORG, "a", source.load)
    assert source.reads == 2


async def test_a_value_of_another_shape_is_read_anew(make_caches: MakeCaches) -> None:
    class Newer(msgspec.Struct, frozen=True):
        text: str
        is_bold: bool = False

    async def load() -> Newer:
        return Newer("hello", is_bold=True)

    source = Source()
    await greetings(await make_caches()).get(ORG, "a", source.load)
    newer = (await make_caches()).of("greeting", Newer)
    assert await newer.get(ORG, "a", load) == Newer("hello", is_bold=True)


async def test_it_is_filled_from_the_primary_whatever_the_client_may_be_shown(
    make_caches: MakeCaches,
) -> None:
    cache = greetings(await make_caches())
    seen: list[Seen | None] = []

    async def load() -> Greeting:
        seen.append(positions.seen.get())
        return Greeting("hello")

    positions.seen.set(Seen(None, may_lag=True))
    try:
        await cache.get(ORG, "a", load)
    finally:
        positions.seen.set(None)
    assert seen == [None]


async def test_nobody_asks_a_cache_while_a_transaction_is_open(make_caches: MakeCaches) -> None:
    cache = greetings(await make_caches())
    token = open_transactions.set(1)
    try:
        with pytest.raises(NetworkInTransactionError):
            await cache.get(ORG, "a", Source().load)
    finally:
        open_transactions.reset(token)


async def test_without_a_valkey_everything_comes_from_the_source() -> None:
    cache, source = greetings(Caches()), Source()
    for _ in range(3):
        assert await cache.get(ORG, "a", source.load) == Greeting("hello")
    assert source.reads == 3
