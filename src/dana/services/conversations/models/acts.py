"""What each act does to a conversation, and what it announces; pure.

An act is done to a `Change`. It collects the messages written and the events to publish; every event carries
the conversation exactly as it stands right after it, so a client that applies all of them arrives where the
database is.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from dana.contracts.events import (
    AnswerProposed,
    ConversationAssigned,
    ConversationHandedOver,
    ConversationRead,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationTakenOver,
    Event,
    MessageAppended,
)
from dana.contracts.events.conversations import ConversationEvent
from dana.contracts.ids import MessageId, new_id
from dana.contracts.views import Action, Author, ConversationView, MessageView, Status
from dana.platform.errors import Conflict, Invalid
from dana.platform.identity import SYSTEM, Actor
from dana.services.conversations.models.nouns import Agent, Draft

PREVIEW_CHARACTERS = 200  # lists never carry whole messages
LONGEST_SNOOZE = timedelta(days=366)
HISTORY_MESSAGES = 20  # what an answer is given to read before the question
QUESTION_MESSAGES = 20  # a longer burst is cut at its beginning


@dataclass(slots=True)
class Change:
    """One conversation under its lock, and what is being done to it."""

    view: ConversationView
    turn: int
    asked_at: datetime | None
    is_assistant_enabled: bool
    now: datetime
    repeated_seq: int | None = None
    """The message that was already written with this idempotency key."""
    is_saved: bool = False
    """Whether the message was written when the conversation was locked."""
    before: ConversationView = field(init=False)
    messages: list[MessageView] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Remember where it began, and never let time run backwards within a conversation."""
        self.before = self.view
        self.now = max(self.now, self.view.last_activity_at)

    def set(self, **fields: Any) -> None:
        """Change fields; the version grows."""
        self.view = msgspec.structs.replace(self.view, version=self.view.version + 1, **fields)

    def announce(self, event: type[ConversationEvent], **more: Any) -> None:
        """Publish an event with the conversation as it is now."""
        self.events.append(event(conversation=self.view, **more))

    def append(self, message: MessageView) -> MessageView:
        """Write a message; what everybody may see becomes the preview in lists."""
        preview: dict[str, Any] = {}
        if message.author is not Author.SYSTEM and not message.is_private:
            preview = {"last_text": message.text[:PREVIEW_CHARACTERS], "last_author": message.author}
        self.set(last_seq=message.seq, last_activity_at=message.created_at, **preview)
        self.messages.append(message)
        self.announce(MessageAppended, message=message)
        return message

    def message(
        self, author: Author, who: Actor, text: str, *, is_private: bool = False, **more: Any
    ) -> MessageView:
        """Make the next message of this conversation."""
        return MessageView(
            id=more.pop("id", None) or MessageId(new_id()),
            conversation_id=self.view.id,
            seq=self.view.last_seq + 1,
            author=author,
            author_id=who.id,
            author_name=who.name,
            text=text,
            is_private=is_private,
            created_at=self.now,
            **more,
        )

    def append_draft(self, draft: Draft) -> MessageView:
        """Write what somebody sent."""
        return self.append(
            self.message(draft.author, draft.who, draft.text, is_private=draft.is_private, id=draft.id)
        )

    def note(self, text: str, *, is_private: bool = False) -> None:
        """Write an activity line."""
        self.append(self.message(Author.SYSTEM, SYSTEM, text, is_private=is_private))

    def end_turn(self) -> None:
        """Make every answer that is still being worked on worthless."""
        self.turn += 1
        self.asked_at = None


def customer_writes(change: Change, draft: Draft) -> MessageView:
    """Append a customer's message; it wakes a sleeping conversation and reopens a resolved one."""
    if change.view.status is Status.SNOOZED:
        wake(change)
    elif change.view.status is Status.RESOLVED:
        is_for_assistant = change.is_assistant_enabled and change.view.assignee_id is None
        _reopen(change, Status.PENDING if is_for_assistant else Status.OPEN)
    change.view = msgspec.structs.replace(change.view, unread_count=change.view.unread_count + 1)
    message = change.append_draft(draft)
    if change.view.status is Status.PENDING:
        change.end_turn()
        change.asked_at = change.now
    return message


def agent_writes(change: Change, draft: Draft) -> MessageView:
    """Append an agent's message; a public reply takes over what is nobody's or the assistant's."""
    if not draft.is_private and (
        change.view.status is Status.PENDING
        or (change.view.status is Status.OPEN and change.view.assignee_id is None)
    ):
        take_over(change, draft.who)
    if change.view.unread_count:
        change.view = msgspec.structs.replace(change.view, unread_count=0)
    return change.append_draft(draft)


def take_over(change: Change, agent: Actor) -> None:
    """Make the conversation this agent's; the assistant is off duty from here on."""
    if change.view.status is Status.OPEN and change.view.assignee_id == agent.id:
        return
    change.end_turn()
    change.set(
        status=Status.OPEN,
        assignee_id=agent.id,
        assignee_name=agent.name,
        snoozed_until=None,
        unread_count=0,
    )
    change.announce(ConversationTakenOver)
    change.note(f"{agent.name} joined the conversation.")


def assign(change: Change, by: Actor, assignee: Agent | None) -> None:
    """Give the conversation to a person, who is then on duty, or to nobody."""
    if assignee is not None and not assignee.is_active:
        raise Invalid("This member is not active any more; choose somebody else.")
    assignee_id = assignee.id if assignee else None
    if change.view.assignee_id == assignee_id:
        return
    change.end_turn()
    is_on_duty = assignee is not None and change.view.status is Status.PENDING
    change.set(
        status=Status.OPEN if is_on_duty else change.view.status,
        assignee_id=assignee_id,
        assignee_name=assignee.name if assignee else None,
    )
    change.announce(ConversationAssigned)
    done = f"assigned the conversation to {assignee.name}" if assignee else "unassigned the conversation"
    change.note(f"{by.name} {done}.", is_private=True)


def rename_assignee(change: Change, agent: Agent) -> None:
    """Follow a change of the assigned person: a new name, or somebody who left."""
    if change.view.assignee_id != agent.id:
        return
    if not agent.is_active:
        assign(change, SYSTEM, None)
    elif change.view.assignee_name != agent.name:
        change.set(assignee_name=agent.name)
        change.announce(ConversationAssigned)


def resolve(change: Change, agent: Actor) -> None:
    """Close the matter."""
    if change.view.status is Status.RESOLVED:
        return
    change.end_turn()
    change.set(status=Status.RESOLVED, snoozed_until=None, unread_count=0)
    change.announce(ConversationResolved)
    change.note(f"{agent.name} resolved the conversation.")


def reopen(change: Change) -> None:
    """Bring a resolved or sleeping conversation back to the people."""
    if change.view.status is Status.SNOOZED:
        wake(change)
    elif change.view.status is Status.RESOLVED:
        _reopen(change, Status.OPEN)


def snooze(change: Change, agent: Actor, until: datetime) -> None:
    """Let the conversation sleep until a time, or until the customer writes."""
    if until.tzinfo is None:
        raise Invalid("`until` needs a time zone, such as 2030-01-31T09:00:00Z.")
    until = until.astimezone(UTC)
    if not change.now < until <= change.now + LONGEST_SNOOZE:
        raise Invalid("`until` must be in the future, and within a year.")
    if change.view.status is Status.RESOLVED:
        raise Conflict("A resolved conversation can't be snoozed; reopen it first.")
    if change.view.status is Status.SNOOZED and change.view.snoozed_until == until:
        return
    change.end_turn()
    change.set(status=Status.SNOOZED, snoozed_until=until, unread_count=0)
    change.announce(ConversationSnoozed)
    change.note(f"{agent.name} snoozed the conversation until {until:%Y-%m-%d %H:%M} UTC.", is_private=True)


def wake(change: Change) -> None:
    """End the sleep; the conversation is the people's again."""
    change.set(status=Status.OPEN, snoozed_until=None)
    change.announce(ConversationReopened)
    change.note("The conversation woke up.", is_private=True)


def _reopen(change: Change, status: Status) -> None:
    change.set(status=status)
    change.announce(ConversationReopened)
    change.note("The conversation was reopened.")


def read(change: Change) -> None:
    """Say that an agent has seen the customer's messages."""
    if change.view.unread_count:
        change.set(unread_count=0)
        change.announce(ConversationRead)


def answer(change: Change, proposal: AnswerProposed) -> MessageView | None:
    """Append the assistant's answer, unless somebody wrote or acted since it was asked for."""
    if change.view.status is not Status.PENDING or change.turn != proposal.turn:
        return None
    assistant = Actor("assistant", None, proposal.author_name)
    message = change.append(
        change.message(
            Author.ASSISTANT,
            assistant,
            proposal.text,
            id=proposal.message_id,
            action=proposal.action,
            citations=proposal.citations,
        )
    )
    if proposal.action is Action.HAND_OVER:
        hand_over(change, proposal.reason)
    else:
        change.end_turn()
    return message


def hand_over(change: Change, reason: str) -> None:
    """Put the people on duty; the reason is for their eyes only."""
    change.end_turn()
    change.set(status=Status.OPEN)
    change.announce(ConversationHandedOver, reason=reason)
    change.note("A person will answer.")
    if reason:
        change.note(f"Handed over: {reason}", is_private=True)


def question_and_history(newest_first: list[MessageView]) -> tuple[str, tuple[MessageView, ...]]:
    """Split the public messages into what the customer now asks and what was said before it."""
    asked = 0
    while asked < min(len(newest_first), QUESTION_MESSAGES) and newest_first[asked].author is Author.CUSTOMER:
        asked += 1
    question = "\n".join(message.text for message in reversed(newest_first[:asked]))
    history = newest_first[asked : asked + HISTORY_MESSAGES]
    return question, tuple(reversed(history))


def is_same_message(message: MessageView, draft: Draft) -> bool:
    """Say whether a repeated request asks for the same message as the first did."""
    return (message.author_id, message.text, message.is_private) == (
        draft.who.id,
        draft.text,
        draft.is_private,
    )
