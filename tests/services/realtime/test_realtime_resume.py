"""Nothing is missed and nothing comes twice: whatever the client, the fan-out, Valkey or the node do."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dana.contracts.ids import OrgId
from dana.platform.local.programs import free_port
from dana.platform.local.valkey import start_valkey
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.services.realtime.listening import Listener, Node, Writer, message, new_conversation, resolved


async def test_a_client_resumes_from_its_cursor(node: Node, writer: Writer) -> None:
    token, conversation_id = node.member_token(writer.org_id), new_conversation()
    first = await node.join(token)
    await writer.say(conversation_id, "one")
    seen = await first.events(1)
    await first.hang_up()
    for text in ("two", "three"):
        await writer.say(conversation_id, text)
    again = await node.connect(token, seen[0]["cursor"])
    hello = await again.next()
    assert 590 <= hello.pop("valid_seconds") <= 600
    assert hello == {"type": "hello", "cursor": 1, "heartbeat_seconds": 10, "channels": ["organization"]}
    assert [frame["event"]["message"]["text"] for frame in await again.events(2)] == ["two", "three"]
    await writer.say(conversation_id, "four")
    assert (await again.events(1))[0]["cursor"] == 4


async def test_a_quiet_replay_ends_with_a_heartbeat(node: Node, writer: Writer) -> None:
    await writer.say(new_conversation(), "one")
    listener = await node.connect(node.member_token(writer.org_id), 1)
    assert (await listener.ear.frames.get())["type"] == "hello"
    assert await listener.ear.frames.get() == {"type": "heartbeat", "cursor": 1}


async def test_what_the_log_repeats_is_what_was_live(
    node: Node, writer: Writer, shards_of: Callable[[str], Shards]
) -> None:
    mine = new_conversation()
    member, visitor = node.member_token(writer.org_id), node.visitor_token(writer.org_id, mine)
    live = [await node.join(member), await node.join(visitor)]
    await writer.write(message(mine, 'quotes " and \\ and 🌍 and \u2028'), resolved(mine))
    await writer.say(new_conversation(), "elsewhere")
    heard = [await live[0].events(3), await live[1].events(2)]

    port = free_port()
    other = Node.make(replace(node.settings, realtime_port=port), shards_of("realtime"), port)
    await other.start()
    replayed = [await other.join(member, 0), await other.join(visitor, 0)]
    assert [await replayed[0].events(3), await replayed[1].events(2)] == heard
    await other.stop()


async def test_a_cursor_that_never_was_is_told_to_start_anew(node: Node, writer: Writer) -> None:
    await writer.say(new_conversation(), "one")
    listener = await node.join(node.member_token(writer.org_id), 77)
    assert await listener.next() == {"type": "resync", "cursor": 1}
    await writer.say(new_conversation(), "two")
    assert (await listener.events(1))[0]["cursor"] == 2


async def test_who_was_away_for_very_long_starts_anew_but_a_visitor_gets_his_few_events(
    node: Node, writer: Writer
) -> None:
    mine, other = new_conversation(), new_conversation()
    await writer.say(mine, "the first")
    await writer.write(*(message(other, str(n)) for n in range(2_100)))
    await writer.say(mine, "the last")
    member = await node.join(node.member_token(writer.org_id), 0)
    assert await member.next() == {"type": "resync", "cursor": 2_102}
    visitor = await node.join(node.visitor_token(writer.org_id, mine), 0)
    texts = [frame["event"]["message"]["text"] for frame in await visitor.events(2)]
    assert texts == ["the first", "the last"]


async def test_a_long_replay_is_complete(node: Node, writer: Writer) -> None:
    conversation_id = new_conversation()
    await writer.write(*(message(conversation_id, str(n)) for n in range(1_500)))
    for token in (node.member_token(writer.org_id), node.visitor_token(writer.org_id, conversation_id)):
        listener = await node.join(token, 250)
        frames = await listener.events(1_250)
        assert [frame["cursor"] for frame in frames] == list(range(251, 1_501))


async def test_a_cursor_newer_than_the_feed_waits_for_the_feed(
    node: Node, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    silent = Writer(org, shards_of("knowledge"))
    token = node.member_token(org)
    early = await node.join(token)
    await silent.say(new_conversation(), "committed, but not announced")
    late = await node.join(token, 1)
    assert (await early.events(1))[0]["cursor"] == 1
    assert not await late.silence(0.1)


async def test_a_lost_announcement_costs_only_time(
    node: Node, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    silent = Writer(org, shards_of("knowledge"))
    listener = await node.join(node.member_token(org))
    await silent.say(new_conversation(), "nobody announces this")
    assert (await listener.events(1))[0]["cursor"] == 1


async def test_swapped_and_doubled_announcements_are_put_in_order(
    node: Node, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    announcements: list[Callable[[], None]] = []
    shards = shards_of("knowledge")
    shards.on_commit.append(
        lambda *committed: announcements.append(lambda: node.fanout.committed(*committed))
    )
    writer = Writer(org, shards)
    listener = await node.join(node.member_token(org))
    for n in range(50):
        await writer.say(new_conversation(), str(n))
    doubled = announcements * 2
    random.Random(7).shuffle(doubled)  # noqa: S311 - the same disorder every time
    for announce in doubled:
        announce()
    frames = await listener.events(50)
    assert [frame["cursor"] for frame in frames] == list(range(1, 51))
    assert not await listener.silence()


async def test_a_transaction_too_big_to_carry_is_read_from_the_log(node: Node, writer: Writer) -> None:
    listener = await node.join(node.member_token(writer.org_id))
    await writer.write(*(message(new_conversation(), "x" * 9_000) for _ in range(40)))
    assert len(await listener.events(40)) == 40


async def test_writers_and_unsteady_clients_at_once(node: Node, writer: Writer) -> None:
    conversation_id, total = new_conversation(), 400
    member, visitor = node.member_token(writer.org_id), node.visitor_token(writer.org_id, conversation_id)

    async def write(share: int) -> None:
        for _ in range(share):
            await writer.say(conversation_id, "x")
            await asyncio.sleep(random.random() / 200)  # noqa: S311 - disorder

    async def follow(token: str) -> list[int]:
        cursors: list[int] = []
        while len(cursors) < total:
            listener = await node.join(token, cursors[-1] if cursors else 0)
            await _take(listener, cursors, random.randint(1, 80), total)  # noqa: S311 - disorder
            await listener.hang_up()
        return cursors

    followers = [asyncio.create_task(follow(token)) for token in (member,) * 6 + (visitor,) * 6]
    await asyncio.gather(*(write(total // 8) for _ in range(8)))
    for cursors in await asyncio.wait_for(asyncio.gather(*followers), 60):
        assert cursors == list(range(1, total + 1))


async def test_valkey_dies_in_the_middle(
    settings: Settings, tmp_path: Path, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    server = start_valkey(tmp_path)
    port = free_port()
    own = replace(settings, redis_url=server.url, realtime_port=port)
    node = Node.make(own, shards_of("realtime"), port)
    await node.start()
    shards = shards_of("conversations")
    shards.on_commit.append(node.fanout.committed)
    writer, conversation_id = Writer(org, shards), new_conversation()
    listeners = [
        await node.join(node.member_token(org)),
        await node.join(node.visitor_token(org, conversation_id)),
    ]

    for n in range(150):
        await writer.say(conversation_id, str(n))
        if n == 50:
            server.process.kill()
            server.process.wait()
        if n == 60:
            late = await node.join(node.member_token(org), 10)
        if n == 100:
            server = start_valkey(tmp_path, int(server.url.rsplit(":", 1)[1].partition("/")[0]))
        await asyncio.sleep(0.01)
    for listener in listeners:
        assert [frame["cursor"] for frame in await listener.events(150)] == list(range(1, 151))
    assert [frame["cursor"] for frame in await late.events(140)] == list(range(11, 151))
    assert not await listeners[0].silence()
    await node.stop()
    server.stop()


async def test_a_subscription_that_breaks_is_made_again_and_costs_no_event(
    node: Node, writer: Writer
) -> None:
    listener, conversation_id = await node.join(node.member_token(writer.org_id)), new_conversation()
    for number in range(120):
        if number in (30, 60, 90):
            assert await node.valkey.call("CLIENT", "KILL", "TYPE", "pubsub") >= 1
        await writer.say(conversation_id, str(number))
    assert [frame["cursor"] for frame in await listener.events(120)] == list(range(1, 121))
    assert not await listener.silence()


async def test_valkey_forgets_everything_in_the_middle(
    node: Node, writer: Writer, shards_of: Callable[[str], Shards]
) -> None:
    listener, conversation_id = await node.join(node.member_token(writer.org_id)), new_conversation()
    for number in range(60):
        await writer.say(conversation_id, str(number))
        if number == 30:
            await node.valkey.call("DEL", f"dana:history:{{dana:org:{writer.org_id.hex}}}")
    assert len(await listener.events(60)) == 60
    port = free_port()
    other = Node.make(replace(node.settings, realtime_port=port), shards_of("realtime"), port)
    await other.start()
    late = await other.join(node.member_token(writer.org_id), 5)
    assert [frame["cursor"] for frame in await late.events(55)] == list(range(6, 61))
    await other.stop()


async def test_the_node_restarts_in_the_middle(
    settings: Settings, org: OrgId, shards_of: Callable[[str], Shards]
) -> None:
    port = free_port()
    own = replace(settings, realtime_port=port)
    writer, conversation_id = Writer(org, shards_of("conversations")), new_conversation()
    cursors: list[int] = []
    for _ in range(3):
        shards = Shards(own, "realtime")
        node = Node.make(own, shards, port)
        await node.start()
        writer.shards.on_commit[:] = [node.fanout.committed]
        listener = await node.join(node.member_token(org), cursors[-1] if cursors else 0)
        await writer.write(*(message(conversation_id, str(n)) for n in range(10)))
        cursors += [frame["cursor"] for frame in await listener.events(20 if cursors else 10)]
        await node.stop()
        await shards.close()
        await writer.write(*(message(conversation_id, str(n)) for n in range(10)))
    assert cursors == list(range(1, 51))


async def _take(listener: Listener, cursors: list[int], many: int, total: int) -> None:
    while many and len(cursors) < total:
        frame = await listener.next()
        assert frame["type"] == "event", frame
        cursors.append(frame["cursor"])
        many -= 1
