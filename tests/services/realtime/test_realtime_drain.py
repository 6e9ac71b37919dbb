"""A node that stops: goodbyes in even portions, and nothing missed by who still waits for its own."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from dana.contracts.ids import OrgId
from dana.platform.shards import Shards
from dana.services.realtime.actions import Hub, Presence
from dana.services.realtime.models import RETURNS_PER_SECOND, Client, leave_and_return
from tests.services.realtime.listening import Node, Writer, new_conversation
from tests.services.realtime.test_realtime_rounds import FakeSocket

MANY = 1_000  # take two seconds, time enough for a commit on a busy machine


class Seated(FakeSocket):
    """A socket that tells the hub when it has ended, as transports do."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub = hub
        self.client: Client | None = None
        self.ended_at = 0.0

    def close(self, code: int, reason: str, retry_ms: int | None = None) -> None:
        super().close(code, reason, retry_ms)
        self.ended_at = asyncio.get_running_loop().time()
        if self.client is not None:
            asyncio.get_running_loop().call_soon(self._hub.leave, self.client)


@pytest.fixture
async def hub(node: Node, shards_of: Callable[[str], Shards]) -> AsyncIterator[Hub]:
    """A hub without a transport, beside a node."""
    made = Hub(
        shards_of("realtime"), node.fanout, node.ephemera, node.keys, Presence(node.valkey, node.fanout)
    )
    yield made
    await made.close()


async def crowd(hub: Hub, node: Node, org_id: OrgId, many: int) -> list[Seated]:
    sockets = [Seated(hub) for _ in range(many)]
    for socket in sockets:
        socket.client = hub.arrive(socket, node.member_token(org_id), None)
    async with asyncio.timeout(30):
        while any(len(socket.frames) < 2 for socket in sockets):  # hello, and the heartbeat behind a replay
            await asyncio.sleep(0.01)
    return sockets


async def test_goodbyes_come_in_even_portions_and_who_waits_is_still_served(
    hub: Hub, node: Node, writer: Writer
) -> None:
    sockets = await crowd(hub, node, writer.org_id, MANY)
    draining = asyncio.create_task(hub.drain())
    await asyncio.sleep(0)
    assert hub.arrive(late := Seated(hub), node.member_token(writer.org_id), None) is None
    assert late.closed is not None
    assert late.closed[0] == 1012
    await writer.say(new_conversation(), "meanwhile")
    await draining
    assert {socket.closed and socket.closed[0] for socket in sockets} == {1012}
    served = [socket.ended_at for socket in sockets if socket.cursors == [1]]
    assert served, "those who waited have heard what happened meanwhile"
    assert min(served) > min(socket.ended_at for socket in sockets)
    delays = [socket.closed[2] for socket in sockets if socket.closed]
    assert all(delay is not None and 0 <= delay < 1_000 for delay in delays)
    assert len(set(delays)) > MANY / 10
    portions = Counter(round(socket.ended_at, 1) for socket in sockets)
    assert len(portions) >= MANY / RETURNS_PER_SECOND / 0.2, "not all at once"


@pytest.mark.parametrize("many", [1, 7, 500, 5_000, 15_000])
def test_no_more_come_back_in_a_second_than_can_be_borne(many: int) -> None:
    planned = [leave_and_return(number, many, 20.0) for number in range(many)]
    assert all(0 <= told <= 20 for told, _ in planned)
    leaving = Counter(int(told) for told, _ in planned)
    assert max(leaving.values()) <= max(RETURNS_PER_SECOND, many / 20) + 1
    jitter = random.Random(3)  # noqa: S311 - the same every time
    returning = Counter(int(told + away + jitter.random()) for told, away in planned)
    assert max(returning.values()) <= 1.2 * RETURNS_PER_SECOND
    assert max(away for _, away in planned) <= 10


async def test_a_hub_forgets_who_has_left(hub: Hub, node: Node, writer: Writer) -> None:
    sockets = await crowd(hub, node, writer.org_id, 20)
    (feed,) = hub._feeds.values()
    assert len(list(feed.following)) == 20
    for socket in sockets:
        assert socket.client is not None
        hub.leave(socket.client)
        hub.leave(socket.client)  # twice is as good as once
    assert not list(feed.following)
    assert not hub._seats._sockets_of
    assert feed.pins == 0
    await writer.say(new_conversation(), "to nobody")
    assert all(not socket.cursors for socket in sockets)
