"""Applying the events to what one had gives what one would fetch, whatever was done in whatever order."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from dana.contracts.events import EVENTS_BY_TYPE, AnswerProposed, AnswerRequested, Event
from dana.contracts.events.conversations import ConversationEvent, MessageAppended
from dana.contracts.ids import ConversationId, MessageId, new_id
from dana.contracts.views import Action, Author, ConversationView, MessageView, Status
from dana.platform.database import Tx
from dana.platform.errors import Problem
from dana.services.conversations import actions
from dana.services.conversations.models.nouns import Counts
from tests.services.conversations.desk import Desk, customer

ACTS = ("receive", "reply", "note", "take_over", "assign", "unassign", "resolve", "reopen", "snooze", "read")


@dataclass
class Client:
    """What a browser keeps: conversations by version, messages by id, in the order of the log."""

    conversations: dict[ConversationId, ConversationView] = field(default_factory=dict)
    messages: dict[MessageId, MessageView] = field(default_factory=dict)
    asked: AnswerRequested | None = None
    has_gap: bool = False

    def apply(self, event: Event) -> None:
        if isinstance(event, AnswerRequested):
            self.asked = event
        if not isinstance(event, ConversationEvent):
            return
        known = self.conversations.get(event.conversation.id)
        if known is not None and event.conversation.version != known.version + 1:
            self.has_gap = True
        self.conversations[event.conversation.id] = event.conversation
        if isinstance(event, MessageAppended):
            self.has_gap |= event.message.seq != event.conversation.last_seq
            self.messages[event.message.id] = event.message

    def counts(self) -> Counts:
        views = self.conversations.values()
        of = {status.value: sum(view.status is status for view in views) for status in Status}
        return Counts(**of, unread=sum(view.unread_count > 0 for view in views))


async def events(desk: Desk) -> list[Event]:
    async with desk.read() as tx:
        rows = await tx.fetch("select type, payload::text from platform.event_log order by cursor")
    return [msgspec.json.decode(row["payload"], type=EVENTS_BY_TYPE[row["type"]]) for row in rows]


async def act(tx: Tx, name: str, desk: Desk, view: ConversationView, random: Random) -> None:
    match name:
        case "reply" | "note":
            text = f"text {random.random()}"
            await actions.reply(tx, view.id, text, None, is_private=name == "note")
        case "assign":
            await actions.assign(tx, view.id, random.choice((desk.ana, desk.bob)).id)
        case "unassign":
            await actions.assign(tx, view.id, None)
        case "snooze":
            await actions.snooze(tx, view.id, datetime.now(UTC) + timedelta(hours=random.randint(1, 9)))
        case _:
            await getattr(actions, name)(tx, view.id)


async def answer(tx: Tx, asked: AnswerRequested, random: Random) -> None:
    proposal = AnswerProposed(
        conversation_id=asked.conversation_id,
        turn=asked.turn,
        message_id=MessageId(new_id()),
        action=random.choice(list(Action)),
        text="an answer",
        citations=(),
        reason=random.choice(("", "not covered")),
    )
    await actions.append_answer(tx, proposal)


@pytest.mark.parametrize("seed", range(6))
async def test_events_applied_are_the_state_fetched(desk: Desk, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a repeatable sequence of acts
    views = [await desk.start(), await desk.start()]
    for _ in range(40):
        view, name = random.choice(views), random.choice((*ACTS, "answer", "receive"))
        try:
            if name == "receive":
                await desk.write(view, f"text {random.random()}")
            elif name == "answer":
                client = Client()
                for event in await events(desk):
                    client.apply(event)
                if client.asked:
                    async with desk.tx() as tx:
                        await answer(tx, client.asked, random)
            else:
                async with desk.tx(random.choice((desk.ana, desk.bob)).actor) as tx:
                    await act(tx, name, desk, view, random)
        except Problem:
            continue  # refused, and so nothing may have changed
    client = Client()
    for event in await events(desk):
        client.apply(event)
    assert not client.has_gap
    for view in views:
        assert client.conversations[view.id] == await desk.view(view.id)
        mine = [m for m in client.messages.values() if m.conversation_id == view.id]
        assert mine == await desk.messages(view.id)
        assert [message.seq for message in mine] == list(range(1, len(mine) + 1))
    assert client.counts() == await desk.counts()


async def test_the_assistant_is_asked_all_that_waits_with_what_was_said_before(desk: Desk) -> None:
    view = await desk.start()
    await desk.write(view, "Hello")
    async with desk.tx() as tx:
        asked = [event for event in await events(desk) if isinstance(event, AnswerRequested)]
        await answer(tx, asked[-1], Random(1))  # noqa: S311 - the seed of a reply
    async with desk.by_ana() as tx:
        await actions.reply(tx, view.id, "not for the customer's eyes", None, is_private=True)
    await desk.write(view, "I have a question.")
    await desk.write(view, "Where is my parcel?")
    asked = [event for event in await events(desk) if isinstance(event, AnswerRequested)]
    assert [event.turn for event in asked] == sorted({event.turn for event in asked})
    assert asked[-1].question == "I have a question.\nWhere is my parcel?"
    assert [(m.author, m.text) for m in asked[-1].history] == [
        (Author.CUSTOMER, "Hello"),
        (Author.ASSISTANT, "an answer"),
    ]


async def test_events_say_who_did_it(desk: Desk) -> None:
    view = await desk.start()
    await desk.write(view, "hi")
    async with desk.by_ana() as tx:
        await actions.resolve(tx, view.id)
    async with desk.read() as tx:
        rows = await tx.fetch("select type, actor::text from platform.event_log order by cursor")
    actors = {row["type"]: msgspec.json.decode(row["actor"]) for row in rows}
    assert actors["answer_requested"]["id"] == str(customer(view).id)
    assert actors["conversation_resolved"] == {"kind": "user", "id": str(desk.ana.id), "name": "Ana"}
