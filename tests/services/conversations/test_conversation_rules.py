"""The rules alone: what each act does in each state."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from dana.contracts.events import (
    AnswerProposed,
    ConversationHandedOver,
    ConversationReopened,
    ConversationTakenOver,
    MessageAppended,
    event_type,
)
from dana.contracts.ids import ContactId, ConversationId, InboxId, MessageId, UserId, new_id
from dana.contracts.views import Action, Author, ContactView, ConversationView, MessageView, Status
from dana.platform.errors import Conflict, Invalid
from dana.platform.identity import SYSTEM, Actor
from dana.services.conversations.models import acts, checks, nouns
from dana.services.conversations.models.acts import Change
from dana.services.conversations.models.nouns import Draft, Plain

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ANA = Actor("user", new_id(), "Ana")
CARLA = Actor("contact", new_id(), "Carla")


def change(
    status: Status = Status.OPEN,
    *,
    assignee: Actor | None = None,
    unread: int = 0,
    is_assistant_enabled: bool = True,
    now: datetime = NOW,
) -> Change:
    view = ConversationView(
        id=ConversationId(new_id()),
        inbox_id=InboxId(new_id()),
        contact=ContactView(id=ContactId(CARLA.id or new_id()), name="Carla", email=None, created_at=NOW),
        status=status,
        assignee_id=UserId(assignee.id) if assignee and assignee.id else None,
        assignee_name=assignee.name if assignee else None,
        last_seq=3,
        last_text="before",
        last_author=Author.CUSTOMER,
        unread_count=unread,
        version=7,
        snoozed_until=NOW + timedelta(hours=1) if status is Status.SNOOZED else None,
        last_activity_at=NOW,
        created_at=NOW,
    )
    return Change(view=view, turn=5, asked_at=None, is_assistant_enabled=is_assistant_enabled, now=now)


def draft(author: Author, *, is_private: bool = False, text: str = "new") -> Draft:
    who = CARLA if author is Author.CUSTOMER else ANA
    return Draft(id=MessageId(new_id()), author=author, who=who, text=text, is_private=is_private, key=None)


def proposal(of: Change, action: Action = Action.REPLY, turn: int | None = None) -> AnswerProposed:
    return AnswerProposed(
        conversation_id=of.view.id,
        turn=of.turn if turn is None else turn,
        message_id=MessageId(new_id()),
        action=action,
        text="an answer",
        citations=(),
        reason="Nothing found." if action is Action.HAND_OVER else "",
    )


def types(of: Change) -> list[str]:
    return [event_type(type(event)) for event in of.events]


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("assignee", [None, ANA])
@pytest.mark.parametrize("unread", [0, 2])
@pytest.mark.parametrize(
    ("plain", "written"),
    [
        (nouns.PLAIN_REPLY, draft(Author.AGENT)),
        (nouns.PLAIN_NOTE, draft(Author.AGENT, is_private=True)),
        (nouns.PLAIN_CUSTOMER, draft(Author.CUSTOMER)),
    ],
)
def test_in_a_plain_state_a_message_changes_only_the_end(
    status: Status, assignee: Actor | None, unread: int, plain: Plain, written: Draft
) -> None:
    is_plain = (
        status in plain.statuses
        and (assignee is not None or not plain.is_assigned)
        and (unread > 0) is plain.has_unread
    )
    if not is_plain:
        return
    of = change(status, assignee=assignee, unread=unread)
    write = acts.customer_writes if written.author is Author.CUSTOMER else acts.agent_writes
    message = write(of, written)
    assert (of.messages, types(of), of.turn) == ([message], ["message_appended"], 5)
    assert of.view.unread_count == unread + plain.unread_more
    assert (of.view.status, of.view.assignee_id, of.view.version) == (status, of.before.assignee_id, 8)


@pytest.mark.parametrize(
    ("status", "assignee", "is_enabled", "after"),
    [
        (Status.OPEN, None, True, Status.OPEN),
        (Status.PENDING, None, True, Status.PENDING),
        (Status.SNOOZED, None, True, Status.OPEN),
        (Status.RESOLVED, None, True, Status.PENDING),
        (Status.RESOLVED, None, False, Status.OPEN),
        (Status.RESOLVED, ANA, True, Status.OPEN),
    ],
)
def test_where_a_customers_message_leads(
    status: Status, assignee: Actor | None, is_enabled: bool, after: Status
) -> None:
    of = change(status, assignee=assignee, is_assistant_enabled=is_enabled)
    message = acts.customer_writes(of, draft(Author.CUSTOMER))
    assert of.view.status is after
    assert of.messages[-1] is message
    assert (of.asked_at is not None) is (after is Status.PENDING)
    assert any(isinstance(event, ConversationReopened) for event in of.events) is (
        status is not after or False
    )


@pytest.mark.parametrize(("status", "assignee"), [(Status.PENDING, None), (Status.OPEN, None)])
def test_a_public_reply_takes_over_what_is_nobodys(status: Status, assignee: Actor | None) -> None:
    of = change(status, assignee=assignee, unread=2)
    acts.agent_writes(of, draft(Author.AGENT))
    assert types(of) == ["conversation_taken_over", "message_appended", "message_appended"]
    assert (of.view.status, of.view.assignee_name, of.view.unread_count) == (Status.OPEN, "Ana", 0)
    assert of.turn == 6


def test_a_private_note_takes_nothing_over_and_stays_out_of_the_preview() -> None:
    of = change(Status.PENDING)
    acts.agent_writes(of, draft(Author.AGENT, is_private=True))
    assert (of.view.status, of.view.last_text, of.turn) == (Status.PENDING, "before", 5)


def test_a_reply_leaves_a_colleagues_conversation_theirs() -> None:
    of = change(Status.OPEN, assignee=Actor("user", new_id(), "Bob"))
    acts.agent_writes(of, draft(Author.AGENT))
    assert of.view.assignee_name == "Bob"


def test_every_event_carries_the_state_right_after_it() -> None:
    of = change(Status.RESOLVED)
    acts.customer_writes(of, draft(Author.CUSTOMER))
    appended = [event for event in of.events if isinstance(event, MessageAppended)]
    assert [event.conversation.last_seq for event in appended] == [e.message.seq for e in appended] == [4, 5]
    versions = [event.conversation.version for event in of.events if not isinstance(event, AnswerProposed)]  # type: ignore[attr-defined]
    assert versions == list(range(8, 8 + len(versions)))


@pytest.mark.parametrize(("status", "offset"), list(itertools.product(Status, (-1, 0, 1))))
def test_an_answer_needs_its_turn_and_a_pending_conversation(status: Status, offset: int) -> None:
    of = change(status)
    message = acts.answer(of, proposal(of, turn=of.turn + offset))
    assert (message is not None) is (status is Status.PENDING and offset == 0)
    if message:
        assert acts.answer(of, proposal(of, turn=5)) is None, "one turn has one answer"


def test_a_hand_over_is_seen_by_the_customer_and_explained_to_the_agents() -> None:
    of = change(Status.PENDING)
    acts.answer(of, proposal(of, Action.HAND_OVER))
    [event] = [event for event in of.events if isinstance(event, ConversationHandedOver)]
    assert (event.reason, of.view.status) == ("Nothing found.", Status.OPEN)
    lines = [(m.author, m.text, m.is_private) for m in of.messages]
    assert lines == [
        (Author.ASSISTANT, "an answer", False),
        (Author.SYSTEM, "A person will answer.", False),
        (Author.SYSTEM, "Handed over: Nothing found.", True),
    ]


@pytest.mark.parametrize("status", list(Status))
def test_taking_over_twice_says_it_once(status: Status) -> None:
    of = change(status)
    acts.take_over(of, ANA)
    acts.take_over(of, ANA)
    assert sum(isinstance(event, ConversationTakenOver) for event in of.events) == 1
    assert (of.view.status, of.view.snoozed_until) == (Status.OPEN, None)


def test_repeating_what_already_holds_changes_nothing() -> None:
    for of, act in (
        (change(Status.RESOLVED), lambda c: acts.resolve(c, ANA)),
        (change(Status.OPEN), acts.reopen),
        (change(Status.PENDING), acts.reopen),
        (change(Status.OPEN), acts.read),
        (change(Status.OPEN), lambda c: acts.assign(c, ANA, None)),
    ):
        act(of)
        assert (of.events, of.messages, of.view) == ([], [], of.before)


@pytest.mark.parametrize(
    "until",
    [NOW, NOW - timedelta(days=1), NOW + timedelta(days=400), datetime(2030, 1, 2, 9)],  # noqa: DTZ001
)
def test_a_snooze_needs_a_time_to_come(until: datetime) -> None:
    with pytest.raises(Invalid):
        acts.snooze(change(), ANA, until)


def test_what_is_resolved_does_not_sleep() -> None:
    with pytest.raises(Conflict):
        acts.snooze(change(Status.RESOLVED), ANA, NOW + timedelta(hours=1))


def test_time_never_runs_backwards_within_a_conversation() -> None:
    of = change(now=NOW - timedelta(seconds=3))
    assert acts.agent_writes(of, draft(Author.AGENT)).created_at == NOW


def test_the_question_is_what_the_customer_wrote_last() -> None:
    def said(seq: int, author: Author) -> MessageView:
        return MessageView(
            id=MessageId(new_id()),
            conversation_id=ConversationId(new_id()),
            seq=seq,
            author=author,
            author_id=None,
            author_name="",
            text=str(seq),
            is_private=False,
            created_at=NOW,
        )

    authors = [Author.CUSTOMER, Author.ASSISTANT, Author.SYSTEM, Author.CUSTOMER, Author.CUSTOMER]
    newest_first = [said(seq, author) for seq, author in enumerate(authors, 1)][::-1]
    question, history = acts.question_and_history(newest_first)
    assert (question, [message.seq for message in history]) == ("4\n5", [1, 2, 3])
    burst = [said(seq, Author.CUSTOMER) for seq in range(60, 0, -1)]
    question, history = acts.question_and_history(burst)
    assert question.split("\n") == [str(seq) for seq in range(41, 61)]
    assert len(history) == acts.HISTORY_MESSAGES


def test_keys_that_can_be_stored() -> None:
    assert checks.checked_key(None) is None
    assert checks.checked_key("  ") is None
    assert checks.checked_key("k" * 255) == "k" * 255
    for ugly in ("k" * 256, "a\nb", "a\x00"):
        with pytest.raises(Invalid):
            checks.checked_key(ugly)


def test_visitors_without_a_name_can_be_told_apart() -> None:
    first, second = new_id(), new_id()
    assert checks.visitor_name(first) != checks.visitor_name(second)
    assert acts.is_same_message(change().message(Author.SYSTEM, SYSTEM, "x"), draft(Author.AGENT)) is False
