"""Who is there, as sockets of several nodes are told it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dana.contracts.events import MemberChanged
from dana.contracts.ids import ContactId, ConversationId, InboxId, OrgId, UserId, new_id
from dana.contracts.views import MemberView, Role
from dana.platform.identity import Member, Visitor
from dana.platform.local.programs import free_port
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.realtime.actions import board
from tests.services.realtime.listening import Listener, Node, Writer, new_conversation

PATIENCE_SECONDS = 20.0

MakeNode = Callable[[], Awaitable[Node]]


@dataclass
class Crowd:
    """Members of one organization, by name."""

    org_id: OrgId
    members: dict[str, Member]

    def member(self, name: str, role: Role = Role.AGENT) -> Member:
        if name not in self.members:
            self.members[name] = Member(self.org_id, UserId(new_id()), role, name, new_id())
        return self.members[name]

    async def join(self, node: Node, name: str, channels: str | None = None) -> Listener:
        return await node.join(node.token_of(self.member(name)), channels=channels)

    async def visit(self, node: Node, name: str, conversation_id: ConversationId) -> Listener:
        visitor = Visitor(self.org_id, conversation_id, ContactId(new_id()), InboxId(new_id()), name)
        return await node.join(node.token_of(visitor))


@pytest.fixture
def crowd(org: OrgId) -> Crowd:
    return Crowd(org, {})


@pytest.fixture
async def make_node(settings: Settings) -> AsyncIterator[MakeNode]:
    """Start nodes that share everything but their process."""
    async with AsyncExitStack() as stack:

        async def make() -> Node:
            port, shards = free_port(), Shards(settings, "realtime")
            stack.push_async_callback(shards.close)
            running = Node.make(replace(settings, realtime_port=port), shards, port)
            await running.start()
            stack.push_async_callback(running.stop)
            return running

        yield make


async def test_two_nodes_show_the_same_people(node: Node, make_node: MakeNode, crowd: Crowd) -> None:
    other = await make_node()
    ana = await crowd.join(node, "Ana")
    await until(lambda: there(ana) == {"Ana": "online"})
    ben = await crowd.join(other, "Ben")
    both = {"Ana": "online", "Ben": "online"}
    await until(lambda: there(ana) == there(ben) == both)
    assert ana.ear.lists[-1] == {
        "type": "presence",
        "channel": "organization",
        "people": [
            {"id": str(crowd.member(name).user_id), "kind": "member", "name": name, "state": "online"}
            for name in ("Ana", "Ben")
        ],
    }
    await ben.hang_up()
    await until(lambda: there(ana) == {"Ana": "online"})


async def test_a_person_is_away_when_away_at_all_sockets(
    node: Node, make_node: MakeNode, crowd: Crowd
) -> None:
    other = await make_node()
    ana, again = await crowd.join(node, "Ana"), await crowd.join(other, "Ana")
    eve = await crowd.join(other, "Eve")
    await until(lambda: there(eve) == {"Ana": "online", "Eve": "online"})
    ana.say({"type": "state", "state": "away"})
    eve.say({"type": "state", "state": "away"})
    await until(lambda: there(eve) == {"Ana": "online", "Eve": "away"})
    assert {each["people"][0]["name"] for each in eve.ear.lists[-1:]} == {"Ana"}, "who is online comes first"
    again.say({"type": "state", "state": "away"})
    await until(lambda: there(ana) == {"Ana": "away", "Eve": "away"})
    await again.hang_up()
    ana.say({"type": "state", "state": "online"})
    await until(lambda: there(eve) == {"Ana": "online", "Eve": "away"})


async def test_a_reload_is_no_departure(node: Node, make_node: MakeNode, crowd: Crowd) -> None:
    other = await make_node()
    eve = await crowd.join(node, "Eve")
    ana = await crowd.join(node, "Ana")
    await until(lambda: there(eve) == {"Ana": "online", "Eve": "online"})
    seen = len(eve.ear.lists)
    for place in (node, other, node):
        await ana.hang_up()
        await asyncio.sleep(0.5)
        ana = await crowd.join(place, "Ana")
    await crowd.join(node, "Ben")
    await until(lambda: "Ben" in there(eve))
    await asyncio.sleep(board.GRACE_SECONDS + 2)
    assert all("Ana" in names(each) for each in eve.ear.lists[seen:]), eve.ear.lists[seen:]


async def test_who_comes_is_shown_the_list_though_it_has_not_changed(node: Node, crowd: Crowd) -> None:
    first = await crowd.join(node, "Ana")
    await until(lambda: there(first) == {"Ana": "online"})
    second = await crowd.join(node, "Ana")
    await until(lambda: there(second) == {"Ana": "online"})
    assert len(first.ear.lists) == 1, "nothing is said twice"


async def test_agents_see_who_looks_at_a_conversation_and_visitors_do_not(node: Node, crowd: Crowd) -> None:
    mine = new_conversation()
    channel = f"conversation:{mine}"
    ana = await crowd.join(node, "Ana", f"organization,{channel}")
    ben = await crowd.join(node, "Ben", "me")
    zoe = await crowd.visit(node, "Zoe", mine)
    await crowd.visit(node, "Xi", new_conversation())
    await until(lambda: there(ana, channel) == {"Ana": "online", "Zoe": "online"})
    await until(lambda: there(ana) == {"Ana": "online", "Ben": "online"})
    assert {each["kind"] for each in ana.ear.lists[-1]["people"]} <= {"member", "visitor"}
    ben.say({"type": "subscribe", "channel": channel})
    everybody = {"Ana": "online", "Ben": "online", "Zoe": "online"}
    await until(lambda: there(ana, channel) == there(ben, channel) == everybody)
    ben.say({"type": "unsubscribe", "channel": channel})
    await until(lambda: there(ana, channel) == {"Ana": "online", "Zoe": "online"})
    await zoe.hang_up()
    await until(lambda: there(ana, channel) == {"Ana": "online"})
    assert there(ben, channel) == everybody, "who has unsubscribed is shown no more"
    assert (zoe.ear.lists, there(ben)) == ([], {})


async def test_who_is_no_member_any_longer_is_not_there(node: Node, writer: Writer, crowd: Crowd) -> None:
    ana, eve = await crowd.join(node, "Ana"), await crowd.join(node, "Eve")
    await until(lambda: there(eve) == {"Ana": "online", "Eve": "online"})
    member = MemberView(
        user_id=crowd.member("Ana").user_id,
        email="ana@example.org",
        name="Ana",
        role=Role.AGENT,
        is_active=False,
    )
    await writer.write(MemberChanged(member=member))
    assert await ana.code() == 4401
    await until(lambda: there(eve) == {"Eve": "online"})


async def test_another_organization_sees_nothing(node: Node, crowd: Crowd, other_org: OrgId) -> None:
    mine = new_conversation()
    stranger = await node.join(
        node.member_token(other_org, "Eve"), channels=f"organization,conversation:{mine}"
    )
    ana = await crowd.join(node, "Ana", f"organization,conversation:{mine}")
    await until(lambda: "Ana" in there(ana, f"conversation:{mine}"))
    await until(lambda: there(stranger) == there(stranger, f"conversation:{mine}") == {"Eve": "online"})


async def test_a_list_is_bounded_and_says_how_many_there_are(node: Node, crowd: Crowd) -> None:
    ana = await crowd.join(node, "Ana")
    others = await asyncio.gather(*(crowd.join(node, f"B{number:03}", "me") for number in range(210)))
    await until(lambda: ana.ear.lists and ana.ear.lists[-1].get("count") == 211)
    assert len(ana.ear.lists[-1]["people"]) == 200
    assert len(ana.ear.lists) < 20, "not one for each that came"
    assert not any(other.ear.lists for other in others), "they don't follow the organization"


async def test_ten_thousand_visitors_would_cost_no_list(node: Node, crowd: Crowd) -> None:
    ana = await crowd.join(node, "Ana")
    await until(lambda: there(ana) == {"Ana": "online"})
    visitors = await asyncio.gather(*(crowd.visit(node, "V", new_conversation()) for _ in range(200)))
    key = f"dana:presence:{{{crowd.org_id.hex}}}:*"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await node.valkey.call("KEYS", key)) < 201:
            await asyncio.sleep(0.1)
    await asyncio.sleep(2 * board.LIST_SECONDS)
    assert len(ana.ear.lists) == 1
    assert not any(visitor.ear.lists for visitor in visitors)


def there(listener: Listener, channel: str = "organization") -> dict[str, str]:
    """Return whom a client knows to be there."""
    lists = [each for each in listener.ear.lists if each["channel"] == channel]
    return {person["name"]: person["state"] for person in lists[-1]["people"]} if lists else {}


def names(frame: dict[str, Any]) -> set[str]:
    """Return the names on a list."""
    return {person["name"] for person in frame["people"]}


async def until(condition: Callable[[], Any]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)
