"""What a lane does with a broker's tokens: each is released once, when what was claimed for it has ended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from dana.contracts.events import OrganizationCreated
from dana.contracts.ids import OrgId, new_id
from dana.platform.bus import Bus, Consumer, Envelope, Lane, Listener, PostgresBinding, Worker, pace
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.outbox import Outbox
from dana.platform.shards import Shards

ShardsOf = Callable[[str], Shards]


class Tokens(PostgresBinding):
    """Wakes with a token for each event, as a broker would, and keeps a book of them."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: list[Listener] = []
        self.given = 0
        self.released: list[int] = []

    @property
    def held(self) -> int:
        return self.given - len(self.released)

    async def open(self, listener: Listener) -> None:
        self.lanes.append(listener)

    def committed(self, org_id: OrgId, first_cursor: int, outbox: Outbox) -> None:
        for lane in self.lanes:
            if lane.shard == outbox.shard:
                for _ in outbox.events:
                    self.give(lane)

    def give(self, lane: Listener) -> None:
        number = self.given
        self.given += 1
        lane.wake(lambda: self.released.append(number))


@pytest.fixture(autouse=True)
def _no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "POLL_SECONDS", 3600.0)


@asynccontextmanager
async def running(shards: Shards, tokens: Tokens, consumer: Consumer | Worker) -> AsyncIterator[None]:
    group = f"tokens-{new_id()}"
    bus = Bus(group, shards, [consumer], tokens)
    shards.on_commit.append(tokens.committed)
    await bus.start()
    try:
        yield
    finally:
        await bus.stop()
        shards.on_commit.remove(tokens.committed)
        for shard in await shards.names():
            await (await shards.pool(shard)).execute("select platform.subscribe($1, '{}', '{}')", group)


async def say(shards: Shards, org: OrgId, *names: str) -> None:
    async with shards.tx(org, SYSTEM) as tx:
        for name in names:
            tx.emit(OrganizationCreated(name=name))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_token_is_held_while_its_work_runs_and_released_after_it(
    shards_of: ShardsOf, org: OrgId
) -> None:
    shards, tokens, begun, may_end = shards_of("conversations"), Tokens(), [], asyncio.Event()

    async def work(envelope: Envelope, event: OrganizationCreated) -> None:
        begun.append(event.name)
        await may_end.wait()

    async with running(shards, tokens, Worker(OrganizationCreated, work, Lane.AI)):
        await say(shards, org, "a", "b", "c")
        await until(lambda: len(begun) == 3)
        assert tokens.held == 3
        may_end.set()
        await until(lambda: tokens.held == 0)
    assert sorted(tokens.released) == [0, 1, 2]


async def test_a_token_for_nothing_is_released_at_once(shards_of: ShardsOf, org: OrgId) -> None:
    shards, tokens = shards_of("conversations"), Tokens()

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        pass

    async with running(shards, tokens, Consumer(OrganizationCreated, consume)):
        for _ in range(5):
            tokens.give(tokens.lanes[0])
        await until(lambda: tokens.held == 0)
    assert sorted(tokens.released) == list(range(5))


async def test_work_that_fails_releases_its_token_and_comes_again_without_one(
    shards_of: ShardsOf, org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FIRST_PAUSE_SECONDS", 0.01)
    shards, tokens, attempts = shards_of("conversations"), Tokens(), []

    async def consume(tx: Tx, event: OrganizationCreated) -> None:
        attempts.append(event.name)
        if len(attempts) < 3:
            raise RuntimeError("not yet")

    async with running(shards, tokens, Consumer(OrganizationCreated, consume)):
        await say(shards, org, "stubborn")
        await until(lambda: len(attempts) == 3 and tokens.held == 0)
    assert tokens.released == [0]


async def test_whoever_stops_gives_every_token_back(shards_of: ShardsOf, org: OrgId) -> None:
    shards, tokens, begun = shards_of("conversations"), Tokens(), []

    async def work(envelope: Envelope, event: OrganizationCreated) -> None:
        begun.append(event.name)
        await asyncio.sleep(0.2)

    async with running(shards, tokens, Worker(OrganizationCreated, work, Lane.AI)):
        await say(shards, org, *(str(n) for n in range(40)))
        await until(lambda: bool(begun))
    assert tokens.held == 0
    assert len(set(tokens.released)) == 40
