"""What is fleeting: never in the database, slow enough to be seen, never in the way of what is durable."""

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from dana.contracts.ids import ConversationId, OrgId, UserId, new_id
from dana.contracts.views import Role
from dana.platform import ephemera as throttled
from dana.platform.ephemera import MAX_SHOWN_PER_SECOND, Ephemera, origin_of
from dana.platform.fanout import Fanout, Fleeting
from dana.platform.identity import Member
from dana.platform.settings import Settings
from dana.services.realtime import jobs
from dana.services.realtime.actions import feed as feeds
from tests.services.realtime.listening import Listener, Node, Writer, new_conversation
from tests.services.realtime.test_presence import there, until

BIG = "x" * 20_000


class Kept(Fanout):
    """A fan-out that keeps what it is to publish."""

    def __init__(self) -> None:
        self.published: list[tuple[OrgId, Fleeting]] = []

    def fleeting(self, org_id: OrgId, message: Fleeting) -> None:
        self.published.append((org_id, message))


def draft(message_id: object, text: str, *, done: bool = False) -> dict[str, Any]:
    return {"name": "draft", "message_id": str(message_id), "turn": 1, "text": text, "done": done}


@pytest.fixture
def without_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a node ask the database nothing by the clock."""
    monkeypatch.setattr(jobs, "LOOK_SECONDS", 3600)


@pytest.mark.usefixtures("without_looks")
async def test_nothing_fleeting_touches_the_database(settings: Settings, node: Node, org: OrgId) -> None:
    """Who types, who is there and what the assistant writes cost the node no statement."""
    mine = new_conversation()
    ana = await node.join(node.member_token(org), channels=f"organization,conversation:{mine}")
    bob = await node.join(node.member_token(org, "Bob"))
    eve = await node.join(node.visitor_token(org, mine))
    await until(lambda: len(there(ana, f"conversation:{mine}")) == 2)
    before = await statements(settings)
    assert before, "the node has asked for the cursor"
    for number in range(40):
        node.ephemera.publish(org, mine, draft(1, f"answer {number}", done=number == 39))
        ana.typing(mine, is_typing=number % 2 == 0)
        eve.typing(mine, is_typing=number % 2 == 0)
        ana.say({"type": "state", "state": "away" if number % 2 else "online"})
        if number % 10 == 0:
            kind = "unsubscribe" if number % 20 else "subscribe"
            bob.say({"type": kind, "channel": f"conversation:{mine}"})
        await asyncio.sleep(0.05)
    await eve.hang_up()
    await until(lambda: set(there(ana, f"conversation:{mine}")) == {"Ana"})
    texts = [frame.get("text") for frame in await ana.silence()]
    assert "answer 39" in texts
    assert len(ana.ear.lists) > 3
    assert await statements(settings) == before


async def test_a_stream_shows_twenty_frames_a_second_and_its_end(node: Node, org: OrgId) -> None:
    ana, mine = await node.join(node.member_token(org)), new_conversation()
    began = time.monotonic()
    for number in range(400):
        node.ephemera.publish(org, mine, draft(1, str(number)))
        node.ephemera.publish(org, mine, draft(2, str(number)))
        await asyncio.sleep(0.002)
    node.ephemera.publish(org, mine, draft(1, "end", done=True))
    node.ephemera.publish(org, mine, draft(2, "end", done=True))
    frames = await until_both_end(ana)
    most = (time.monotonic() - began) * 20 + 2
    for message_id in ("1", "2"):
        texts = [frame["text"] for frame in frames if frame["message_id"] == message_id]
        assert texts[-1] == "end"
        assert 5 < len(texts) <= most, "coalesced, and still a stream"
        numbers = [int(text) for text in texts[:-1]]
        assert numbers == sorted(numbers)


async def test_durable_events_arrive_through_a_flood(node: Node, writer: Writer) -> None:
    """Somebody doesn't read for a while: no event is lost for it, but most of the flood is."""
    slow, quick = [await node.join(node.member_token(writer.org_id)) for _ in range(2)]
    mine = new_conversation()
    slow.transport.underlying_transport.pause_reading()
    flood = 600
    for number in range(flood):
        for stream in range(3):
            node.ephemera.publish(writer.org_id, mine, draft((number, stream), BIG))
        if number % 20 == 0:
            await writer.say(mine, str(number))
        await asyncio.sleep(0.004)
    slow.transport.underlying_transport.resume_reading()
    fleeting = {listener: await fleeting_until(listener, writer.written) for listener in (slow, quick)}
    assert fleeting[slow] < fleeting[quick] / 2, "kept from who doesn't read"
    assert slow.ear.code is None, "and so it was never too slow"


async def test_a_flood_of_one_organization_is_bounded_where_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttled, "LATER_SECONDS", 0.2)
    kept = Kept()
    ephemera, big, small = Ephemera(kept), OrgId(new_id()), OrgId(new_id())
    mine, many = ConversationId(new_id()), 3 * MAX_SHOWN_PER_SECOND
    began = int(time.monotonic())
    for number in range(many):
        ephemera.publish(big, mine, draft(number, "first"))
    for number in range(many):
        ephemera.publish(big, mine, draft(number, "last"))
    for number in range(10):
        ephemera.publish(small, mine, draft(number, "first"))
    seconds = 1 + int(time.monotonic()) - began
    shown = [org_id for org_id, _ in kept.published]
    assert shown.count(big) <= seconds * MAX_SHOWN_PER_SECOND
    assert shown.count(small) == 10, "another has a bound of its own"
    await until(lambda: sum(b'"last"' in message.frame for _, message in kept.published) == many)
    assert len({message.frame for _, message in kept.published if b'"last"' in message.frame}) == many


async def test_a_flood_of_one_organization_is_bounded_at_the_node(
    node: Node, org: OrgId, other_org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of many processes that each keep to their own bound."""
    monkeypatch.setattr(feeds, "MAX_FLEETING_PER_SECOND", 10)
    loud, quiet = await node.join(node.member_token(org)), await node.join(node.member_token(other_org))
    began = int(time.monotonic())
    for number in range(200):
        node.fanout.fleeting(org, Fleeting(False, b"\0" * 8, None, b'{"type":"ephemeral","n":%d}' % number))
    node.ephemera.publish(other_org, None, draft(1, "hello"))
    assert (await quiet.next())["text"] == "hello"
    heard = await loud.silence(1.0)
    assert 1 <= len(heard) <= 10 * (2 + int(time.monotonic()) - began)


async def test_two_who_are_called_the_same_type_side_by_side() -> None:
    """What one says next doesn't replace what the other has said."""
    kept = Kept()
    ephemera, org, mine = Ephemera(kept), OrgId(new_id()), ConversationId(new_id())
    one, other = (Member(org, UserId(new_id()), Role.AGENT, "Ana", new_id()) for _ in range(2))
    for ana in (one, other, one):
        ephemera.show_typing(ana, mine, is_typing=True)
    await until(lambda: len(kept.published) == 3)
    origins = [message.origin for _, message in kept.published]
    assert origins == [origin_of(ana.user_id) for ana in (one, other, one)]


async def fleeting_until(listener: Listener, cursor: int) -> int:
    """Return how many fleeting frames came up to an event; all events before it must have come, too."""
    fleeting, cursors = 0, [0]
    while cursors[-1] < cursor:
        frame = await listener.next()
        if frame["type"] == "event":
            cursors.append(frame["cursor"])
        else:
            fleeting += 1
    assert cursors == list(range(cursor + 1))
    return fleeting


async def until_both_end(listener: Listener) -> list[dict[str, Any]]:
    """Return all drafts up to the ends of two of them."""
    frames: list[dict[str, Any]] = []
    while sum(frame["done"] for frame in frames) < 2:
        frames.append(await listener.next())
    return frames


async def statements(settings: Settings) -> dict[int, object]:
    """Return when each connection of real-time nodes has begun its last statement."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        rows = await connection.fetch(
            "select pid, query_start from pg_stat_activity where usename like '%realtime%'"
        )
    finally:
        await connection.close()
    return {row["pid"]: row["query_start"] for row in rows}
