"""Answering on a real database: once, shown while it grows, and never after somebody else has settled it."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from dana.contracts.events import (
    AnswerRequested,
    ConversationAssigned,
    ConversationResolved,
    ConversationTakenOver,
    Event,
)
from dana.contracts.ids import ContactId, ConversationId, EventId, InboxId, OrgId, UserId, new_id
from dana.contracts.views import ContactView, ConversationView, Status
from dana.platform.bus import Envelope, Lane, Worker
from dana.platform.identity import SYSTEM
from dana.services.ai.actions.answering import answer
from dana.services.ai.actions.assistants import change_assistant
from dana.services.ai.actions.desk import Desk
from dana.services.ai.consumers import consumers
from dana.services.ai.models.assistant import Assistant, Provider, ProviderKind
from tests.services.ai.desks import Screen, make_desk
from tests.services.ai.shelf import Shelf

COVERED = "Within how many days can I return an item?"


class Case:
    """One conversation and the cursor its events have reached."""

    def __init__(self, desk: Desk, org: OrgId) -> None:
        self.desk = desk
        self.org = org
        self.conversation_id = ConversationId(new_id())
        self.cursor = 10

    def envelope(self, attempt: int = 1) -> Envelope:
        self.cursor += 1
        return Envelope(EventId(new_id()), self.org, self.cursor, attempt, datetime.now(UTC))

    def request(self, question: str = COVERED, turn: int = 1) -> AnswerRequested:
        return AnswerRequested(
            conversation_id=self.conversation_id,
            inbox_id=InboxId(new_id()),
            turn=turn,
            question=question,
            history=(),
        )

    async def send(self, event: Event, envelope: Envelope, lane: Lane) -> None:
        """Give an event to the consumer of its lane."""
        for consumer in consumers(self.desk):
            if isinstance(consumer, Worker) and isinstance(event, consumer.event) and consumer.lane is lane:
                await consumer.run(envelope, event)

    async def use_model(self, base_url: str, behaviour: str) -> None:
        provider = Provider(kind=ProviderKind.OPENAI, base_url=base_url, model=f"dana-sim:{behaviour}")
        async with self.desk.shards.tx(self.org, SYSTEM) as tx:
            await change_assistant(tx, self.desk.secrets, Assistant(name="Mia", provider=provider))

    async def proposals(self) -> list[dict[str, Any]]:
        """Return what was proposed for this conversation."""
        async with self.desk.shards.read(self.org) as tx:
            rows = await tx.fetch(
                "select payload from platform.event_log where type = 'answer_proposed' and aggregate_id = $1"
                " order by cursor",
                self.conversation_id,
            )
        return [json.loads(row["payload"]) for row in rows]

    def conversation(self, status: Status = Status.OPEN, assignee: UserId | None = None) -> ConversationView:
        now = datetime.now(UTC)
        return ConversationView(
            id=self.conversation_id,
            inbox_id=InboxId(new_id()),
            contact=ContactView(id=ContactId(new_id()), name="Jo", email=None, created_at=now),
            status=status,
            assignee_id=assignee,
            assignee_name=None,
            last_seq=1,
            last_text="",
            last_author=None,
            unread_count=0,
            version=1,
            snoozed_until=None,
            last_activity_at=now,
            created_at=now,
        )


@pytest.fixture
def case(desk: Desk, org: OrgId) -> Case:
    return Case(desk, org)


def screen(case: Case) -> Screen:
    return cast("Screen", case.desk.ephemera)


async def test_an_answer_is_shown_and_proposed(case: Case) -> None:
    envelope = case.envelope()
    await answer(case.desk, envelope, case.request())
    [proposal] = await case.proposals()
    assert proposal["action"] == "reply"
    assert proposal["message_id"] == str(envelope.id)
    assert proposal["turn"] == 1
    assert proposal["author_name"] == "Assistant"
    assert proposal["text"].startswith("You can return any item within 30 days.")
    assert proposal["citations"][0]["title"] == "Returns"
    assert screen(case).drafts[-1] == proposal["text"]
    assert len(screen(case).drafts) > 5
    assert screen(case).typing == [True, False]


async def test_a_second_attempt_proposes_nothing_more(case: Case) -> None:
    envelope, request = case.envelope(), case.request()
    await answer(case.desk, envelope, request)
    await answer(case.desk, envelope, request)
    assert len(await case.proposals()) == 1


async def test_a_newer_question_replaces_the_older(case: Case, base_url: str) -> None:
    await case.use_model(base_url, "slow")
    older = asyncio.create_task(answer(case.desk, case.envelope(), case.request(turn=1)))
    await asyncio.sleep(0.15)
    newer, request = case.envelope(), case.request(turn=2)
    await case.send(request, newer, Lane.LIVE)
    await older
    await case.send(request, newer, Lane.AI)
    assert [proposal["turn"] for proposal in await case.proposals()] == [2]


@pytest.mark.parametrize("event", [ConversationTakenOver, ConversationAssigned, ConversationResolved])
async def test_a_person_s_act_stops_an_answer_at_once(case: Case, base_url: str, event: Any) -> None:
    await case.use_model(base_url, "stall")
    working = asyncio.create_task(answer(case.desk, case.envelope(), case.request()))
    while not screen(case).drafts:
        await asyncio.sleep(0.01)
    acted = event(conversation=case.conversation())
    await case.send(acted, case.envelope(), Lane.LIVE)
    await asyncio.wait_for(working, 0.2)
    assert await case.proposals() == []
    assert screen(case).drafts[-1] == ""
    assert screen(case).shown[-2]["done"] is True
    assert screen(case).typing[-1] is False


async def test_a_take_over_seen_by_another_process_stops_it_too(
    case: Case, base_url: str, settings: Any, models: Any
) -> None:
    await case.use_model(base_url, "slow")
    working = asyncio.create_task(answer(case.desk, case.envelope(), case.request()))
    await asyncio.sleep(0.05)
    elsewhere = Case(make_desk(settings, case.desk.shards, models), case.org)
    elsewhere.conversation_id, elsewhere.cursor = case.conversation_id, case.cursor
    await elsewhere.send(
        ConversationTakenOver(conversation=case.conversation()), elsewhere.envelope(), Lane.LIVE
    )
    await asyncio.wait_for(working, 2.5)
    assert await case.proposals() == []


async def test_a_take_over_before_the_answer_began_stops_it(case: Case) -> None:
    envelope = case.envelope()
    await case.send(ConversationTakenOver(conversation=case.conversation()), case.envelope(), Lane.LIVE)
    await answer(case.desk, envelope, case.request())
    assert await case.proposals() == []


async def test_a_late_word_of_an_older_take_over_changes_nothing(case: Case) -> None:
    older = case.envelope()
    newer = case.envelope()
    await case.send(ConversationTakenOver(conversation=case.conversation()), older, Lane.LIVE)
    await answer(case.desk, newer, case.request(turn=2))
    await case.send(ConversationTakenOver(conversation=case.conversation()), older, Lane.LIVE)
    assert [proposal["turn"] for proposal in await case.proposals()] == [2]


async def test_taking_an_assignment_back_leaves_it_to_the_assistant(case: Case) -> None:
    envelope = case.envelope()
    unassigned = ConversationAssigned(conversation=case.conversation(Status.PENDING))
    await case.send(unassigned, case.envelope(), Lane.LIVE)
    await answer(case.desk, envelope, case.request())
    assert len(await case.proposals()) == 1


async def test_a_failure_is_tried_again_and_then_ends_with_a_person(case: Case) -> None:
    cast("Shelf", case.desk.knowledge).failures = 2
    first, request = case.envelope(attempt=1), case.request()
    with pytest.raises(ConnectionError):
        await answer(case.desk, first, request)
    assert await case.proposals() == []
    second = Envelope(first.id, first.org_id, first.cursor, 2, first.created_at)
    await answer(case.desk, second, request)
    [proposal] = await case.proposals()
    assert proposal["action"] == "hand_over"
    assert "ConnectionError" in proposal["reason"]
    assert screen(case).typing[-1] is False


async def test_a_model_s_stall_ends_with_a_person(case: Case, base_url: str) -> None:
    await case.use_model(base_url, "stall")
    await answer(case.desk, case.envelope(), case.request())
    [proposal] = await case.proposals()
    assert proposal["action"] == "hand_over"
    assert proposal["author_name"] == "Mia"


async def test_a_cancelled_worker_leaves_nothing_running(case: Case, base_url: str) -> None:
    await case.use_model(base_url, "stall")
    before = asyncio.all_tasks()
    working = asyncio.create_task(answer(case.desk, case.envelope(), case.request()))
    await asyncio.sleep(0.2)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await asyncio.sleep(0.05)
    own = [task for task in asyncio.all_tasks() - before if "services/ai" in str(task.get_coro())]
    assert own == []


async def test_another_organization_s_conversation_is_out_of_reach(case: Case, other_org: OrgId) -> None:
    mine = case.envelope()
    theirs = Envelope(EventId(new_id()), other_org, mine.cursor + 100, 1, mine.created_at)
    await case.send(ConversationTakenOver(conversation=case.conversation()), theirs, Lane.LIVE)
    await answer(case.desk, mine, case.request())
    assert len(await case.proposals()) == 1
