"""Channels: who may follow what, each event once, and rights that change under an open socket."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from dana.contracts.events import (
    ConversationAssigned,
    ConversationsDeleted,
    ConversationsJobAdvanced,
    InboxChanged,
    MemberChanged,
)
from dana.contracts.ids import ContactId, InboxId, LongJobId, OrgId, UserId, new_id
from dana.contracts.views import InboxView, JobState, LongJobView, MemberView, Role
from dana.platform.errors import Invalid
from dana.platform.identity import Member, Visitor
from dana.services.realtime.models import (
    MAX_CHANNELS,
    Channel,
    channel_for,
    may_follow,
    may_see,
    parse_channel,
)
from tests.services.realtime.listening import Listener, Node, Writer, conversation, message, new_conversation

CONVERSATION = new_conversation()
ANA = Member(OrgId(new_id()), UserId(new_id()), Role.AGENT, "Ana", new_id())
EVE = Visitor(ANA.org_id, CONVERSATION, ContactId(new_id()), InboxId(new_id()), "Eve")
EVERY_KIND = [f"conversation:{CONVERSATION}", f"inbox:{EVE.inbox_id}", "organization", "me"]


def test_a_member_may_follow_her_organization_and_a_visitor_his_conversation() -> None:
    for role in Role:
        member = replace(ANA, role=role)
        assert all(may_follow(member, parse_channel(member, name)) for name in EVERY_KIND)
    assert [may_follow(EVE, parse_channel(EVE, name)) for name in EVERY_KIND] == [True, False, False, False]
    assert not may_follow(EVE, Channel("conversation", new_conversation()))
    assert not may_follow(ANA, Channel("me", new_id()))


def test_only_admins_see_long_jobs() -> None:
    admin = replace(ANA, role=Role.ADMIN)
    for kind in ("conversations_job_advanced", "knowledge_job_advanced"):
        assert may_see(admin, kind)
        assert not may_see(ANA, kind)
    assert may_see(ANA, "message_appended")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "everything",
        "inbox",
        "inbox:",
        "inbox:7",
        "organization:1",
        "me:1",
        "conversation:" + "9" * 500,
        "é:1",
    ],
)
def test_what_is_no_channel_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="no such channel"):
        channel_for(ANA, name, ())


def test_one_more_than_allowed_is_refused_but_what_is_followed_already_is_not() -> None:
    followed = {Channel("conversation", new_conversation()) for _ in range(MAX_CHANNELS)}
    with pytest.raises(Invalid, match="at most 100"):
        channel_for(ANA, "organization", followed)
    one = next(iter(followed))
    assert channel_for(ANA, one.name, followed) == one


async def test_each_channel_has_its_own_events_and_an_event_of_several_comes_once(
    node: Node, writer: Writer
) -> None:
    one, other = conversation(new_conversation()), conversation(new_conversation())
    both = f"inbox:{one.inbox_id},conversation:{one.id}"
    asked = (
        "organization",
        f"inbox:{one.inbox_id}",
        f"conversation:{other.id}",
        both,
        "organization," + both,
    )
    token = node.member_token(writer.org_id)
    live = [await node.join(token, channels=channels) for channels in asked]
    await writer.write(message(one.id, about=one), message(other.id, about=other))
    await writer.write(changed_inbox(one.inbox_id))
    await writer.write(ConversationsDeleted(conversation_ids=(other.id,)))
    expected = [[1, 2, 3, 4], [1, 3], [2, 4], [1, 3], [1, 2, 3, 4]]
    assert [await seen(listener) for listener in live] == expected
    replayed = [await node.join(token, 0, channels) for channels in asked]
    assert [await seen(listener) for listener in replayed] == expected


async def test_own_notifications(node: Node, writer: Writer) -> None:
    ana = Member(writer.org_id, UserId(new_id()), Role.AGENT, "Ana", new_id())
    mine = msgspec.structs.replace(conversation(new_conversation()), assignee_id=ana.user_id)
    listener = await node.join(node.token_of(ana), channels="me")
    await writer.write(
        message(mine.id, about=mine),
        message(new_conversation()),
        ConversationAssigned(conversation=msgspec.structs.replace(mine, assignee_id=UserId(new_id()))),
        message(mine.id, about=msgspec.structs.replace(mine, assignee_id=None)),
        MemberChanged(member=view_of(ana)),
        MemberChanged(member=view_of(ana, user_id=UserId(new_id()))),
    )
    assert await seen(listener) == [1, 3, 5]
    assert await seen(await node.join(node.token_of(ana), 0, "me")) == [1, 3, 5]


async def test_a_channel_is_followed_and_left_on_the_way(node: Node, writer: Writer) -> None:
    view = conversation(new_conversation())
    name = f"conversation:{view.id}"
    listener = await node.join(node.member_token(writer.org_id), channels="me")
    await writer.write(message(view.id, about=view))
    await until_quiet(node, writer)
    listener.say({"type": "subscribe", "channel": name})
    frame = await listener.next()
    assert frame == {"type": "subscribed", "channel": name, "cursor": writer.written}
    await writer.write(message(view.id, about=view))
    assert [event["cursor"] for event in await listener.events(1)] == [writer.written]
    listener.say({"type": "unsubscribe", "channel": name})
    assert await listener.next() == {"type": "unsubscribed", "channel": name}
    await writer.write(message(view.id, about=view))
    assert not await listener.silence()


async def test_what_is_asked_for_during_a_replay_is_answered_behind_it(node: Node, writer: Writer) -> None:
    mine, other = conversation(new_conversation()), conversation(new_conversation())
    for _ in range(6):
        await writer.write(*(message(view.id, about=view) for view in (mine, other) for _ in range(50)))
    listener = await node.connect(node.member_token(writer.org_id), 0, f"conversation:{mine.id}")
    listener.say({"type": "subscribe", "channel": f"conversation:{other.id}"})
    listener.say({"type": "unsubscribe", "channel": f"conversation:{mine.id}"})
    assert (await listener.next())["type"] == "hello"
    replayed = await listener.events(300)
    assert {frame["event"]["conversation"]["id"] for frame in replayed} == {str(mine.id)}
    assert [(await listener.next())["type"] for _ in range(2)] == ["subscribed", "unsubscribed"]
    await writer.write(message(mine.id, about=mine), message(other.id, about=other))
    assert await seen(listener) == [602]


async def test_what_may_not_be_followed_is_said_and_the_rest_is_followed(node: Node, writer: Writer) -> None:
    mine, foreign = new_conversation(), new_conversation()
    token = node.visitor_token(writer.org_id, mine)
    asked = f"conversation:{mine},conversation:{foreign},organization,inbox:{new_id()},nonsense"
    listener = await node.connect(token, channels=asked)
    assert (await listener.next())["channels"] == [f"conversation:{mine}"]
    refused = [await listener.next() for _ in range(4)]
    assert {frame["type"] for frame in refused} == {"refused"}
    assert [frame["channel"] for frame in refused] == asked.split(",")[1:]
    assert refused[0]["reason"] == "You may not follow this."
    assert refused[3]["reason"] == "There is no such channel."
    listener.say({"type": "subscribe", "channel": f"conversation:{foreign}"})
    assert (await listener.next())["type"] == "refused"
    await writer.write(message(foreign), message(mine))
    assert await seen(listener) == [2]


async def test_a_hundred_channels_and_no_more(node: Node, writer: Writer) -> None:
    names = [f"conversation:{new_conversation()}" for _ in range(MAX_CHANNELS + 1)]
    listener = await node.connect(node.member_token(writer.org_id), channels=",".join(names))
    assert len((await listener.next())["channels"]) == MAX_CHANNELS
    assert (await listener.next())["channel"] == names[-1]
    listener.say({"type": "subscribe", "channel": "organization"})
    assert (await listener.next())["type"] == "refused"
    listener.say({"type": "unsubscribe", "channel": names[0]})
    assert (await listener.next())["type"] == "unsubscribed"
    listener.say({"type": "subscribe", "channel": "organization"})
    assert (await listener.next())["type"] == "subscribed"


async def test_what_exists_in_another_organization_never_matches(
    node: Node, writer: Writer, other_org: OrgId
) -> None:
    view = conversation(new_conversation())
    names = f"conversation:{view.id},inbox:{view.inbox_id}"
    stranger = await node.join(node.member_token(other_org), channels=names)
    visitor = await node.join(node.visitor_token(other_org, view.id))
    await writer.write(message(view.id, about=view))
    assert not await stranger.silence() + await visitor.silence()


async def test_a_role_that_changes_is_the_role_from_then_on(node: Node, writer: Writer) -> None:
    ana = Member(writer.org_id, UserId(new_id()), Role.AGENT, "Ana", new_id())
    listener = await node.join(node.token_of(ana))
    await writer.write(job())
    await writer.write(MemberChanged(member=view_of(ana, role=Role.ADMIN)))
    await writer.write(job())
    assert [frame["cursor"] for frame in await listener.events(2)] == [2, 3]
    listener.say({"type": "renew", "token": node.token_of(ana)})  # from before she was an admin
    assert (await listener.next())["type"] == "renewed"
    await writer.write(job(), MemberChanged(member=view_of(ana, role=Role.AGENT)), job())
    assert await seen(listener) == [4, 5]
    await until_quiet(node, writer)
    old = replace(ana, role=Role.ADMIN)
    late = await node.join(node.token_of(old))  # with a token from when she was
    await writer.write(job(), message(new_conversation()))
    assert await seen(late) == [8]


async def test_who_was_turned_out_while_away_stays_out_and_who_is_back_is_in(
    node: Node, writer: Writer
) -> None:
    ana = Member(writer.org_id, UserId(new_id()), Role.AGENT, "Ana", new_id())
    await writer.write(message(new_conversation()), MemberChanged(member=view_of(ana, is_active=False)))
    assert await (await node.connect(node.token_of(ana), 1)).code() == 4401
    assert await (await node.connect(node.token_of(ana), 2)).code() == 4401
    await writer.write(MemberChanged(member=view_of(ana)))
    await until_quiet(node, writer)
    back = await node.join(node.token_of(ana), 1)
    assert await seen(back) == [2, 3]


async def seen(listener: Listener) -> list[int]:
    """Return the cursors of all events that come within a while."""
    frames = await listener.silence()
    assert {frame["type"] for frame in frames} <= {"event", "presence"}, frames
    return [frame["cursor"] for frame in frames if frame["type"] == "event"]


async def until_quiet(node: Node, writer: Writer) -> None:
    """Return when the node has sent everything that was written."""
    witness = await node.join(node.member_token(writer.org_id, role=Role.ADMIN), 0)
    await witness.events(writer.written)


def view_of(member: Member, **changed: Any) -> MemberView:
    fields: dict[str, Any] = {"user_id": member.user_id, "role": member.role} | changed
    return MemberView(name="Ana", email="ana@example.org", **fields)


def changed_inbox(inbox_id: InboxId) -> InboxChanged:
    return InboxChanged(
        inbox=InboxView(
            id=inbox_id, name="Shop", channel="web_widget", public_key="k", greeting="Hi",
            is_assistant_enabled=True, created_at=datetime.now(UTC),
        )
    )  # fmt: skip


def job() -> ConversationsJobAdvanced:
    now = datetime.now(UTC)
    view = LongJobView(
        id=LongJobId(new_id()), kind="export", about="all", state=JobState.QUEUED, done=0, total=None,
        problems=0, error=None, requested_by=None, requested_by_name="Ana", version=1, file_expires_at=None,
        created_at=now, updated_at=now, finished_at=None,
    )  # fmt: skip
    return ConversationsJobAdvanced(job=view)
