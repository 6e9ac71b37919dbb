"""Sockets of a real node on a real database: who sees what, and how a socket ends."""

import asyncio
from urllib.parse import quote

import httpx
import msgspec
import pytest
from picows import WSMsgType

from dana.contracts.events import AnswerProposed, MemberChanged
from dana.contracts.ids import MessageId, OrgId, UserId, new_id
from dana.contracts.views import Action, MemberView, Role
from dana.platform.identity import Member, Visitor
from tests.services.realtime.listening import Node, Writer, message, new_conversation, resolved


async def test_a_member_sees_every_event_as_it_is(node: Node, writer: Writer) -> None:
    listener = await node.join(node.member_token(writer.org_id))
    event = message(new_conversation(), "Grüße 🌍")
    await writer.write(event)
    (frame,) = await listener.events(1)
    assert frame["cursor"] == 1
    assert frame["event"]["type"] == "message_appended"
    assert frame["created_at"].endswith("Z")
    fields = {name: value for name, value in frame["event"].items() if name != "type"}
    assert fields == msgspec.json.decode(msgspec.json.encode(event))


async def test_a_visitor_sees_his_conversation_without_what_is_private(node: Node, writer: Writer) -> None:
    mine, other = new_conversation(), new_conversation()
    listener = await node.join(node.visitor_token(writer.org_id, mine))
    await writer.say(other, "not for you")
    await writer.say(mine, "a private note", is_private=True)
    await writer.write(message(mine, "for you"), resolved(mine))
    first, second = await listener.events(2)
    assert first["cursor"] == 3
    assert first["event"]["message"]["text"] == "for you"
    assert set(first["event"]["conversation"]) == {"id", "status", "assignee_name", "version", "last_seq"}
    assert second["event"]["type"] == "conversation_resolved"
    assert not await listener.silence()


async def test_events_between_services_and_of_others_reach_nobody(
    node: Node, writer: Writer, other_org: OrgId
) -> None:
    conversation_id = new_conversation()
    member = await node.join(node.member_token(writer.org_id))
    visitor = await node.join(node.visitor_token(writer.org_id, conversation_id))
    stranger = await node.join(node.member_token(other_org))
    await writer.write(
        AnswerProposed(
            conversation_id=conversation_id,
            turn=1,
            message_id=MessageId(new_id()),
            action=Action.REPLY,
            text="draft",
            citations=(),
        )
    )
    assert not await member.silence() + await visitor.silence() + await stranger.silence()
    await writer.say(conversation_id, "now")
    assert (await member.events(1))[0]["cursor"] == 2
    assert not await stranger.silence()


async def test_typing_goes_both_ways_but_never_back(node: Node, writer: Writer) -> None:
    conversation_id = new_conversation()
    token = node.member_token(writer.org_id)
    ana, same_ana = await node.join(token), await node.join(token)
    bob = await node.join(node.member_token(writer.org_id, "Bob"))
    eve = await node.join(node.visitor_token(writer.org_id, conversation_id))
    other = await node.join(node.visitor_token(writer.org_id, new_conversation()))

    ana.typing(conversation_id)
    shown = await eve.next()
    assert shown == {
        "type": "ephemeral",
        "conversation_id": str(conversation_id),
        "name": "typing",
        "who": "agent",
        "author_name": "Ana",
        "is_typing": True,
    }
    assert await bob.next() == shown
    await ana.hang_up()
    assert not (await eve.next())["is_typing"]
    assert not (await bob.next())["is_typing"]

    eve.typing(conversation_id)
    assert (await bob.next())["who"] == "customer"
    assert (await same_ana.next())["author_name"] == "Eve"
    assert not await eve.silence() + await other.silence()


async def test_drafts_reach_the_visitor_and_the_newest_always_arrives(node: Node, writer: Writer) -> None:
    conversation_id, message_id = new_conversation(), MessageId(new_id())
    eve = await node.join(node.visitor_token(writer.org_id, conversation_id))
    for length in range(200):
        draft = {"name": "draft", "message_id": message_id, "turn": 1, "text": "x" * length, "done": False}
        node.ephemera.publish(writer.org_id, conversation_id, draft)
        await asyncio.sleep(0.001)
    frames = await eve.silence(0.4)
    assert len(frames[-1]["text"]) == 199
    assert len(frames) < 20


@pytest.mark.parametrize("token", ["", "nonsense", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJkYW5hIn0."])
async def test_a_wrong_token_is_refused(node: Node, token: str) -> None:
    assert await (await node.connect(token)).code() == 4401


async def test_an_expiring_token_ends_the_socket(node: Node, org: OrgId) -> None:
    listener = await node.join(node.member_token(org, ttl_seconds=2))
    assert await listener.code() == 4401


async def test_a_member_who_lost_access_is_turned_out(node: Node, writer: Writer) -> None:
    gone = Member(writer.org_id, UserId(new_id()), Role.AGENT, "Bob", new_id())
    bob = await node.join(node.token_of(gone))
    ana = await node.join(node.member_token(writer.org_id))
    view = MemberView(user_id=gone.user_id, name="Bob", email="b@example.org", role=Role.AGENT)
    await writer.write(MemberChanged(member=view))
    assert (await bob.next())["event"]["type"] == "member_changed"
    await writer.write(MemberChanged(member=msgspec.structs.replace(view, is_active=False)))
    assert await bob.code() == 4401
    assert len(await ana.events(2)) == 2


@pytest.mark.parametrize("cursor", ["-1", "abc", "1e3", "٣", "9" * 30])
async def test_a_wrong_cursor_is_refused(node: Node, org: OrgId, cursor: str) -> None:
    assert await (await node.connect(node.member_token(org), quote(cursor))).code() == 4400


@pytest.mark.parametrize(
    "frame",
    [b"", b"{", b"[]", b'{"type":"shout"}', b'{"type":"typing"}', b"\xff\xfe", b"x" * 5_000],
)
async def test_a_bad_frame_ends_the_socket(node: Node, org: OrgId, frame: bytes) -> None:
    listener = await node.join(node.member_token(org))
    listener.transport.send(WSMsgType.TEXT, frame)
    assert await listener.code() == 4400


async def test_a_binary_frame_ends_the_socket(node: Node, org: OrgId) -> None:
    listener = await node.join(node.member_token(org))
    listener.transport.send(WSMsgType.BINARY, b"{}")
    assert await listener.code() == 4400


async def test_a_visitor_types_in_his_own_conversation_only(node: Node, org: OrgId) -> None:
    eve = await node.join(node.visitor_token(org, new_conversation()))
    eve.typing(new_conversation())
    assert await eve.code() == 4400


async def test_a_flood_of_frames_ends_the_socket(node: Node, org: OrgId) -> None:
    listener = await node.join(node.member_token(org))
    for _ in range(100):
        listener.typing(new_conversation())
    assert await listener.code() == 4400


async def test_fragments_are_put_together(node: Node, org: OrgId) -> None:
    conversation_id = new_conversation()
    ana = await node.join(node.member_token(org))
    eve = await node.join(node.visitor_token(org, conversation_id))
    whole = msgspec.json.encode({"type": "typing", "conversation_id": conversation_id, "is_typing": True})
    ana.transport.send(WSMsgType.TEXT, whole[:10], fin=False)
    ana.transport.send(WSMsgType.CONTINUATION, whole[10:20], fin=False)
    ana.transport.send(WSMsgType.CONTINUATION, whole[20:])
    assert (await eve.next())["author_name"] == "Ana"


async def test_one_person_has_only_so_many_sockets(node: Node, org: OrgId) -> None:
    token = node.member_token(org)
    listeners = [await node.connect(token) for _ in range(41)]
    assert await listeners[40].code() == 4429
    await listeners[0].hang_up()
    assert await node.join(token)


async def test_a_slow_client_is_cut_and_its_neighbours_are_not(node: Node, writer: Writer) -> None:
    token = node.member_token(writer.org_id)
    slow, quick = await node.join(token), await node.join(token)
    slow.transport.underlying_transport.pause_reading()
    conversation_id = new_conversation()
    for _ in range(60):
        await writer.write(*(message(conversation_id, "x" * 10_000) for _ in range(20)))
    frames = await quick.events(1_200)
    assert [frame["cursor"] for frame in frames] == list(range(1, 1_201))
    slow.transport.underlying_transport.resume_reading()
    assert await slow.code() in (4408, None)  # None when it couldn't even read the goodbye
    await writer.say(conversation_id, "still here")
    assert (await quick.events(1))[0]["cursor"] == 1_201


async def test_at_shutdown_everybody_is_asked_to_come_back(node: Node, org: OrgId) -> None:
    members = [await node.join(node.member_token(org)) for _ in range(5)]
    assert node.service.stop
    await node.service.stop()
    assert [await member.code() for member in members] == [1012] * 5


async def test_a_visitor_token_and_a_member_token_are_not_mistaken(node: Node, org: OrgId) -> None:
    assert isinstance(node.keys.verify_realtime(node.visitor_token(org, new_conversation())), Visitor)
    assert isinstance(node.keys.verify_realtime(node.member_token(org)), Member)


async def test_the_gateway_can_ask_whether_the_node_lives(node: Node) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{node.port}") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/api/v1/realtime")).status_code == 400
        assert (await client.get("/elsewhere")).status_code == 404
