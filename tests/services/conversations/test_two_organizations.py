"""Every action runs once more as a second organization, with the first one's ids, and must see nothing."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dana.contracts.events import AnswerProposed
from dana.contracts.ids import InboxId, LongJobId, MessageId, OrgId, new_id
from dana.contracts.views import Action, ConversationView, MemberView, Role
from dana.platform.database import Tx
from dana.platform.errors import Missing
from dana.services.conversations import actions
from dana.services.conversations.models.bulk import Choice
from dana.services.conversations.models.nouns import Counts, Filter, Found, Unsearchable
from tests.services.conversations.conftest import OpenDesk
from tests.services.conversations.desk import Desk

Act = Callable[[Tx, Desk, ConversationView], Awaitable[Any]]


def _proposal(view: ConversationView) -> AnswerProposed:
    return AnswerProposed(
        conversation_id=view.id,
        turn=1,
        message_id=MessageId(new_id()),
        action=Action.REPLY,
        text="stolen",
        citations=(),
    )


REFUSED: dict[str, Act] = {
    "append_answer": lambda tx, d, v: actions.append_answer(tx, _proposal(v)),
    "assign": lambda tx, d, v: actions.assign(tx, v.id, d.ana.id),
    "change_inbox": lambda tx, d, v: actions.change_inbox(
        tx, d.inbox.id, name="stolen", greeting=None, is_assistant_enabled=None
    ),
    "file_bytes": lambda tx, d, v: actions.file_bytes(tx, LongJobId(v.id)),
    "find_conversation": lambda tx, d, v: actions.find_conversation(tx, v.id),
    "find_inbox": lambda tx, d, v: actions.find_inbox(tx, d.inbox.id),
    "find_manifest": lambda tx, d, v: actions.find_manifest(tx, LongJobId(v.id)),
    "follow_clock": lambda tx, d, v: actions.follow_clock(tx, v.id),
    "read": lambda tx, d, v: actions.read(tx, v.id),
    "receive": lambda tx, d, v: actions.receive(tx, v.id, "stolen", None),
    "reopen": lambda tx, d, v: actions.reopen(tx, v.id),
    "reply": lambda tx, d, v: actions.reply(tx, v.id, "stolen", "key", is_private=True),
    "request_deletion": lambda tx, d, v: actions.request_deletion(
        tx, Choice(inbox_id=d.inbox.id, quiet_since=tx.now), None
    ),
    "request_export": lambda tx, d, v: actions.request_export(tx, Choice(inbox_id=d.inbox.id), None),
    "request_import": lambda tx, d, v: actions.request_import(tx, d.inbox.id, "f", ("", []), None),
    "resolve": lambda tx, d, v: actions.resolve(tx, v.id),
    "snooze": lambda tx, d, v: actions.snooze(tx, v.id, datetime.now(UTC) + timedelta(hours=1)),
    "start": lambda tx, d, v: actions.start(tx, d.inbox.id, None, None, str(new_id())),
    "take_over": lambda tx, d, v: actions.take_over(tx, v.id),
}

EMPTY: dict[str, tuple[Act, Any]] = {
    "count": (lambda tx, d, v: actions.count(tx), Counts()),
    "list_conversations": (lambda tx, d, v: actions.list_conversations(tx, Filter(), None, 10), []),
    "list_inboxes": (lambda tx, d, v: actions.list_inboxes(tx, None, 10), []),
    "list_messages_after": (
        lambda tx, d, v: actions.list_messages_after(tx, v.id, 0, 10, is_public=False),
        [],
    ),
    "make_searchable": (
        lambda tx, d, v: actions.make_searchable(tx, [Unsearchable(d.org_id, MessageId(v.id))]),
        0,
    ),
    "search_messages": (
        lambda tx, d, v: actions.search_messages(tx, "order", None, 10),
        Found([], None, is_cut_short=False),
    ),
    "list_messages_before": (
        lambda tx, d, v: actions.list_messages_before(tx, v.id, None, 10, is_public=False),
        [],
    ),
}

OWN: dict[str, Act] = {  # these write only what is the second organization's own
    "create_inbox": lambda tx, d, v: actions.create_inbox(
        tx, InboxId(d.inbox.id), "their-own-key", "Own", "", is_assistant_enabled=False
    ),
    "remember_member": lambda tx, d, v: actions.remember_member(
        tx,
        MemberView(user_id=d.ana.id, name="Stolen", email="x@example.org", role=Role.AGENT, is_active=False),
    ),
}

ALL_ACTIONS = {
    name
    for name, action in inspect.getmembers(actions, inspect.iscoroutinefunction)
    if not name.startswith("_") and next(iter(inspect.signature(action).parameters)) == "tx"
}


def test_no_action_is_left_out() -> None:
    assert {*REFUSED, *EMPTY, *OWN} == ALL_ACTIONS


async def _everything(desk: Desk, view: ConversationView) -> list[Any]:
    async with desk.read() as tx:
        inboxes = await actions.list_inboxes(tx, None, 10)
    return [await desk.view(view.id), await desk.messages(view.id), await desk.counts(), inboxes]


@pytest.fixture
async def victim(desk: Desk) -> tuple[Desk, ConversationView]:
    """An organization with a conversation in which something has been said."""
    view = await desk.start()
    await desk.write(view, "my order number is 4711")
    async with desk.by_ana() as tx:
        await actions.take_over(tx, view.id)
        await actions.reply(tx, view.id, "a note", "key", is_private=True)
    return desk, view


@pytest.mark.parametrize("name", sorted(ALL_ACTIONS))
async def test_a_second_organization_sees_and_changes_nothing(
    name: str, victim: tuple[Desk, ConversationView], other_org: OrgId, open_desk: OpenDesk
) -> None:
    desk, view = victim
    before = await _everything(desk, view)
    if name in REFUSED:
        with pytest.raises(Missing):
            async with desk.shards.tx(other_org, desk.ana.actor) as tx:
                await REFUSED[name](tx, desk, view)
    else:
        async with desk.shards.tx(other_org, desk.ana.actor) as tx:
            if name in EMPTY:
                act, nothing = EMPTY[name]
                assert await act(tx, desk, view) == nothing
            else:
                await OWN[name](tx, desk, view)
    assert await _everything(desk, view) == before
