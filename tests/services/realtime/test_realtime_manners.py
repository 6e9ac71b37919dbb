"""What a client says, and what happens to who says nonsense, too much, or nothing any more."""

import asyncio
from dataclasses import replace

import pytest
from picows import WSMsgType
from prometheus_client import REGISTRY

from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import Role
from dana.platform.identity import Member
from dana.services.realtime.models import Close, retry_ms
from tests.services.realtime.listening import Node, Writer, message, new_conversation


async def test_hello_says_what_was_granted(node: Node, org: OrgId) -> None:
    listener = await node.connect(node.member_token(org, ttl_seconds=300), channels="organization,me")
    hello = await listener.next()
    assert 295 <= hello.pop("valid_seconds") <= 300
    assert hello == {
        "type": "hello",
        "cursor": 0,
        "heartbeat_seconds": 10,
        "channels": ["me", "organization"],
    }


async def test_a_socket_is_renewed_without_a_reconnect(node: Node, writer: Writer) -> None:
    ana = Member(writer.org_id, UserId(new_id()), Role.AGENT, "Ana", new_id())
    listener = await node.join(node.token_of(ana, 2))
    listener.say({"type": "renew", "token": node.token_of(ana, 900)})
    renewed = await listener.next()
    assert renewed["type"] == "renewed"
    assert 890 <= renewed["valid_seconds"] <= 900
    assert not await listener.silence(2.5)  # the first token has expired meanwhile
    await writer.say(new_conversation(), "still here")
    assert len(await listener.events(1)) == 1


async def test_nobody_renews_with_anothers_token(node: Node, org: OrgId, other_org: OrgId) -> None:
    ana = Member(org, UserId(new_id()), Role.AGENT, "Ana", new_id())
    mine = new_conversation()
    wrong = [
        (node.token_of(ana), node.member_token(org)),
        (node.token_of(ana), node.token_of(replace(ana, org_id=other_org))),
        (node.token_of(ana), node.visitor_token(org, mine)),
        (node.token_of(ana), node.keys.sign_member(replace(ana, expires_at=0), 600)),
        (node.token_of(ana), "nonsense"),
        (node.visitor_token(org, mine), node.visitor_token(org, mine)),
    ]
    for token, other in wrong:
        listener = await node.join(token)
        listener.say({"type": "renew", "token": other})
        assert await listener.code() == 4401


@pytest.mark.parametrize("cursor", [2, 2**62, -1, 1.5, "1", None, 2**80])
async def test_an_acknowledgement_that_makes_no_sense_ends_the_socket(
    node: Node, writer: Writer, cursor: object
) -> None:
    listener = await node.join(node.member_token(writer.org_id))
    await writer.say(new_conversation(), "one")
    assert len(await listener.events(1)) == 1
    listener.say({"type": "ack", "cursor": cursor})
    assert await listener.code() == 4400


async def test_acknowledgements_are_heard_and_timed(node: Node, writer: Writer) -> None:
    listener = await node.join(node.member_token(writer.org_id))
    visitor = await node.join(node.visitor_token(writer.org_id, mine := new_conversation()))
    before = acknowledged()
    await writer.write(message(mine), message(new_conversation()))
    await listener.events(2)
    await visitor.events(1)
    for cursor in (1, 2, 2, 1, 0):
        listener.say({"type": "ack", "cursor": cursor})
    visitor.say({"type": "ack", "cursor": 1})
    visitor.say({"type": "ack", "cursor": 2})  # as a heartbeat said
    async with asyncio.timeout(10):
        while acknowledged() < before + 3:
            await asyncio.sleep(0.01)
    assert not [frame for frame in await listener.silence() if frame["type"] == "bye"]
    assert acknowledged() == before + 3  # of each event once, and of none that was another's


async def test_a_cursor_that_never_was_may_be_acknowledged_until_the_resync(node: Node, org: OrgId) -> None:
    listener = await node.join(node.member_token(org), 77)
    listener.say({"type": "ack", "cursor": 77})
    assert (await listener.next())["type"] == "resync"
    assert not await listener.silence()


async def test_a_goodbye_says_why_and_when_to_come_back(node: Node, org: OrgId) -> None:
    listener = await node.join(node.member_token(org))
    listener.say({"type": "shout"})
    bye = await listener.next()
    assert (bye["type"], bye["code"]) == ("bye", 4400)
    assert bye["reason"] == "This frame can't be read."
    assert 30_000 <= bye["retry_ms"] <= 60_000
    assert await listener.code() == 4400
    refused = await node.connect("nonsense")
    assert (await refused.next())["code"] == 4401


def test_when_to_come_back_is_spread_and_grows_with_the_reason() -> None:
    for code in (1012, 1013, 4400, 4401, 4408, 4429, 4999):
        least, most = retry_ms(code, 0.0), retry_ms(code, 1.0)
        assert 0 <= least < retry_ms(code, 0.5) < most <= 60_000
    assert retry_ms(Close.RESTART, 1.0) < retry_ms(Close.TOO_MANY, 0.0)


@pytest.mark.parametrize(
    "frames",
    [
        [(WSMsgType.CONTINUATION, b"{}", True)],
        [(WSMsgType.TEXT, b'{"type":', False), (WSMsgType.TEXT, b'"ack"}', True)],
        [(WSMsgType.TEXT, b'{"type":"ack","cursor":', False), (WSMsgType.CONTINUATION, b"\xff}", True)],
        [(WSMsgType.TEXT, b"\xc3", False), (WSMsgType.CONTINUATION, b"(", True)],
        [(WSMsgType.TEXT, b"x" * 3_000, False), (WSMsgType.CONTINUATION, b"x" * 3_000, True)],
    ],
)
async def test_garbled_fragments_end_the_socket(
    node: Node, org: OrgId, frames: list[tuple[WSMsgType, bytes, bool]]
) -> None:
    listener = await node.join(node.member_token(org))
    for kind, payload, is_last in frames:
        listener.transport.send(kind, payload, fin=is_last)
    assert await listener.code() in (4400, 1002, 1007)


async def test_renewals_count_as_many_frames(node: Node, org: OrgId) -> None:
    ana = Member(org, UserId(new_id()), Role.AGENT, "Ana", new_id())
    listener = await node.join(node.token_of(ana))
    token = node.token_of(ana)
    for _ in range(20):
        listener.say({"type": "renew", "token": token})
    assert await listener.code() == 4400


async def test_states_are_heard(node: Node, org: OrgId) -> None:
    listener = await node.join(node.member_token(org))
    for state in ("away", "online"):
        listener.say({"type": "state", "state": state})
    assert not [frame for frame in await listener.silence() if frame["type"] == "bye"]
    listener.say({"type": "state", "state": "asleep"})
    assert await listener.code() == 4400


def acknowledged() -> float:
    return REGISTRY.get_sample_value("dana_realtime_ack_seconds_count") or 0.0
