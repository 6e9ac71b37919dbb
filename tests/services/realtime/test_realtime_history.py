"""Valkey's history is the memory of a node that comes to an organization; the log decides what is true."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import asyncpg
import msgspec
from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform.database import address
from dana.platform.fanout import MAX_REMEMBERED, MAX_REMEMBERED_BYTES, Committed, Events
from dana.platform.local.programs import free_port
from dana.platform.shards import Shards
from dana.services.realtime.actions.log import READ
from dana.services.realtime.actions.memory import REMEMBERED
from dana.services.realtime.models import LoggedEvent, believed
from tests.services.realtime.listening import Node, Writer, message, new_conversation

IDS = [str(UUID(int=number)) for number in range(20)]


def remembered(first: int, *ids: str) -> Events:
    committed = [
        Committed(id=msgspec.Raw(b'"%b"' % each.encode()), type="t", created_at=msgspec.Raw(b'"now"'))
        for each in ids
    ]
    return Events(first, committed)


def cursors(events: list[LoggedEvent]) -> list[int]:
    return [event.cursor for event in events]


def test_only_what_leads_without_a_gap_to_the_newest_of_the_log_is_believed() -> None:
    messages = [remembered(6, IDS[6]), remembered(1, IDS[1], IDS[2]), remembered(4, IDS[4], IDS[5])]
    assert cursors(believed(messages, 6, IDS[6])) == [4, 5, 6]
    assert cursors(believed(messages, 2, IDS[2])) == [1, 2]
    assert believed(messages, 7, IDS[7]) == []  # not there yet
    assert believed([], 7, IDS[7]) == []


def test_a_history_that_contradicts_the_log_or_itself_is_not_believed() -> None:
    messages = [remembered(1, IDS[1], IDS[2]), remembered(3, IDS[3])]
    assert believed(messages, 3, IDS[9]) == []
    assert believed([*messages, remembered(2, IDS[9])], 3, IDS[3]) == []
    assert cursors(believed([*messages, remembered(2, IDS[2])], 3, IDS[3])) == [1, 2, 3]


async def test_it_keeps_the_newest_messages_for_a_while_and_no_big_ones(node: Node, writer: Writer) -> None:
    conversation_id = new_conversation()
    await writer.say(conversation_id, "x" * (MAX_REMEMBERED_BYTES + 1))
    for number in range(MAX_REMEMBERED + 3):
        await writer.say(conversation_id, str(number))
    found = await node.fanout.history(writer.org_id, 0)
    assert [message.first_cursor for message in found] == list(range(5, MAX_REMEMBERED + 5))
    assert len(await node.fanout.history(writer.org_id, MAX_REMEMBERED + 2)) == 2
    assert 0 < await node.valkey.call("PTTL", key_of(writer.org_id)) <= 300_000


async def test_another_node_replays_from_history_and_asks_the_log_for_no_page(
    node: Node, writer: Writer, shards_of: Callable[[str], Shards]
) -> None:
    mine = new_conversation()
    member, visitor = node.member_token(writer.org_id), node.visitor_token(writer.org_id, mine)
    live = [await node.join(member), await node.join(visitor)]
    await writer.write(message(mine, "one"), message(new_conversation(), "two"))
    await writer.say(mine, "private", is_private=True)
    await writer.say(mine, 'quotes " and \\ and 🌍')
    heard = [await live[0].events(4), await live[1].events(2)]
    await node.stop()

    async with another(node, shards_of) as other:
        pages, events = value(READ), value(REMEMBERED)
        replayed = [await other.join(token, 0) for token in (member, visitor) * 10]
        for number, listener in enumerate(replayed):
            assert await listener.events((4, 2)[number % 2]) == heard[number % 2]
        assert value(READ) == pages
        assert value(REMEMBERED) == events + 4


async def test_without_history_the_log_is_read_once_for_all(
    node: Node, writer: Writer, shards_of: Callable[[str], Shards]
) -> None:
    for number in range(30):
        await writer.say(new_conversation(), str(number))
    await node.valkey.call("DEL", key_of(writer.org_id))
    async with another(node, shards_of) as other:
        pages = value(READ)
        listeners = [await other.join(node.member_token(writer.org_id), 10) for _ in range(20)]
        for listener in listeners:
            assert [frame["cursor"] for frame in await listener.events(20)] == list(range(11, 31))
        assert value(READ) == pages + 1


async def test_a_history_of_another_past_is_not_replayed(
    node: Node, writer: Writer, shards_of: Callable[[str], Shards]
) -> None:
    """As after a restore of databases: cursors are given again, and Valkey remembers who had them before."""
    for number in range(3):
        await writer.say(new_conversation(), str(number))
    found = await node.valkey.call("ZRANGE", key_of(writer.org_id), 0, -1)
    await node.valkey.call("DEL", key_of(writer.org_id))
    for cursor, old in enumerate(found, 1):
        parts = bytes(old).split(b'"id":"')
        await node.valkey.call(
            "ZADD", key_of(writer.org_id), cursor, b'"id":"'.join([parts[0], b"0" + parts[1][1:]])
        )
    async with another(node, shards_of) as other:
        events = await (await other.join(node.member_token(writer.org_id), 0)).events(3)
        assert [frame["event"]["message"]["text"] for frame in events] == ["0", "1", "2"]
        assert not any(frame["id"].startswith("00") for frame in events)


async def test_what_neither_history_nor_log_have_must_be_fetched_anew(
    node: Node, writer: Writer, shards_of: Callable[[str], Shards]
) -> None:
    mine = new_conversation()
    for number in range(12):
        await writer.say(mine, str(number))
    await node.valkey.call("DEL", key_of(writer.org_id))
    await purge(node, writer, up_to=8)
    async with another(node, shards_of) as other:
        for token in (node.member_token(writer.org_id), node.visitor_token(writer.org_id, mine)):
            late = await other.join(token, 3)
            assert await late.next() == {"type": "resync", "cursor": 12}
            recent = await other.join(token, 8)
            assert [frame["cursor"] for frame in await recent.events(4)] == [9, 10, 11, 12]


async def test_an_event_that_is_announced_late_finds_no_gap_in_memory(
    node: Node, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    """History lacks the newest events of the log, so it is not believed, and the log is read."""
    announced, silent = Writer(org, shards_of("conversations")), Writer(org, shards_of("knowledge"))
    announced.shards.on_commit.append(node.fanout.committed)
    await announced.say(new_conversation(), "one")
    await silent.say(new_conversation(), "two")
    listener = await node.join(node.member_token(org), 0)
    assert [frame["cursor"] for frame in await listener.events(2)] == [1, 2]


class another:  # noqa: N801 - reads as a word
    """A second node."""

    def __init__(self, node: Node, shards_of: Callable[[str], Shards]) -> None:
        port = free_port()
        self._node = Node.make(replace(node.settings, realtime_port=port), shards_of("realtime"), port)

    async def __aenter__(self) -> Node:
        await self._node.start()
        return self._node

    async def __aexit__(self, *_: object) -> None:
        await self._node.stop()


async def purge(node: Node, writer: Writer, up_to: int) -> None:
    """Let the log forget, as it does with what is very old."""
    route = await writer.shards.route(writer.org_id)
    homes = await writer.shards.catalog.shards()
    admin = await asyncpg.connect(address(node.settings.database_url, database=homes[route.shard].database))
    await admin.execute(
        "delete from platform.event_log where org_id = $1 and cursor <= $2", writer.org_id, up_to
    )
    await admin.close()


def key_of(org_id: OrgId) -> str:
    return f"dana:history:{{dana:org:{org_id.hex}}}"


def value(counter: Counter) -> float:
    return float(counter._value.get())
