"""The verbs of a conversation. Each runs inside the caller's transaction.

A conversation is locked, changed by the rules of `models`, saved, and its events are emitted, so two writers
of one conversation come one after the other, and events leave in the order of what they tell.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from dana.contracts.events import (
    AnswerProposed,
    AnswerRequested,
    ConversationStarted,
)
from dana.contracts.ids import ContactId, ConversationId, InboxId, MessageId, UserId, new_id
from dana.contracts.views import (
    Author,
    ContactView,
    ConversationView,
    MemberView,
    MessageView,
    Status,
)
from dana.platform.database import Tx
from dana.platform.errors import Conflict, Invalid
from dana.platform.shards import Shards
from dana.services.conversations import store
from dana.services.conversations.models import acts, checks, nouns
from dana.services.conversations.models.acts import Change
from dana.services.conversations.models.nouns import Agent, Draft, Due

RENAMED_CONVERSATIONS = 500  # at once; those assigned longer ago show an old name until they are touched
ANSWER_PATIENCE = timedelta(minutes=2)  # longer than any answer takes; then a person is asked
DUE_AT_ONCE = 500


class Written(NamedTuple):
    """A message, and whether it had been written before with the same idempotency key."""

    message: MessageView
    is_repeat: bool


async def start(
    tx: Tx, inbox_id: InboxId, name: str | None, email: str | None, start_key: str | None
) -> ConversationView:
    """Begin a new contact's conversation; the same start key leads to the same conversation."""
    start_key = checks.checked_start_key(start_key)
    inbox = await store.inbox(tx, inbox_id)
    if start_key:
        started = await store.lock_start(tx, inbox_id, start_key)
        if started:
            return await store.conversation(tx, started)
    contact_id = ContactId(new_id())
    contact = ContactView(
        id=contact_id,
        name=checks.checked_name(name, "The name") if name else checks.visitor_name(contact_id),
        email=checks.checked_email(email) if email else None,
        created_at=tx.now,
    )
    view = ConversationView(
        id=ConversationId(new_id()),
        inbox_id=inbox.id,
        contact=contact,
        status=Status.PENDING if inbox.is_assistant_enabled else Status.OPEN,
        assignee_id=None,
        assignee_name=None,
        last_seq=0,
        last_text="",
        last_author=None,
        unread_count=0,
        version=1,
        snoozed_until=None,
        last_activity_at=tx.now,
        created_at=tx.now,
    )
    await store.add_conversation(tx, view, start_key)
    tx.emit(ConversationStarted(conversation=view))
    return view


async def receive(tx: Tx, conversation_id: ConversationId, text: str, key: str | None) -> Written:
    """Append the customer's message; while the assistant is on duty, ask it."""
    draft = _draft(tx, Author.CUSTOMER, text, key)
    change = await store.lock_to_write(tx, conversation_id, draft, nouns.PLAIN_CUSTOMER)
    if change.repeated_seq:
        return await _repeated(tx, change, draft)
    message = acts.customer_writes(change, draft)
    await _save(tx, change, draft.key)
    if change.asked_at:
        await _ask(tx, change)
    return Written(message, is_repeat=False)


async def reply(
    tx: Tx, conversation_id: ConversationId, text: str, key: str | None, *, is_private: bool
) -> Written:
    """Append an agent's reply, or a note that only agents see."""
    draft = _draft(tx, Author.AGENT, text, key, is_private=is_private)
    plain = nouns.PLAIN_NOTE if is_private else nouns.PLAIN_REPLY
    change = await store.lock_to_write(tx, conversation_id, draft, plain)
    if change.repeated_seq:
        return await _repeated(tx, change, draft)
    message = acts.agent_writes(change, draft)
    await _save(tx, change, draft.key)
    return Written(message, is_repeat=False)


async def append_answer(tx: Tx, proposal: AnswerProposed) -> None:
    """Append the assistant's answer, unless its turn has passed."""
    change = await store.lock(tx, proposal.conversation_id)
    acts.answer(change, proposal)
    await _save(tx, change)


async def take_over(tx: Tx, conversation_id: ConversationId) -> ConversationView:
    """Make the conversation the acting agent's."""
    change = await store.lock(tx, conversation_id)
    acts.take_over(change, tx.actor)
    return await _save(tx, change)


async def assign(tx: Tx, conversation_id: ConversationId, assignee_id: UserId | None) -> ConversationView:
    """Give the conversation to a member, or to nobody."""
    change = await store.lock(tx, conversation_id)
    assignee = await store.agent(tx, assignee_id) if assignee_id else None
    if assignee_id and assignee is None:
        raise Invalid("There is no member with this id in the organization.")
    acts.assign(change, tx.actor, assignee)
    return await _save(tx, change)


async def resolve(tx: Tx, conversation_id: ConversationId) -> ConversationView:
    """Close the matter."""
    change = await store.lock(tx, conversation_id)
    acts.resolve(change, tx.actor)
    return await _save(tx, change)


async def reopen(tx: Tx, conversation_id: ConversationId) -> ConversationView:
    """Bring a resolved or sleeping conversation back."""
    change = await store.lock(tx, conversation_id)
    acts.reopen(change)
    return await _save(tx, change)


async def snooze(tx: Tx, conversation_id: ConversationId, until: datetime) -> ConversationView:
    """Let the conversation sleep until a time."""
    change = await store.lock(tx, conversation_id)
    acts.snooze(change, tx.actor, until)
    return await _save(tx, change)


async def read(tx: Tx, conversation_id: ConversationId) -> ConversationView:
    """Say that an agent has seen the customer's messages."""
    change = await store.lock(tx, conversation_id)
    acts.read(change)
    return await _save(tx, change)


async def follow_clock(tx: Tx, conversation_id: ConversationId) -> None:
    """Wake a conversation whose sleep is over; call a person where the assistant stayed silent."""
    change = await store.lock(tx, conversation_id)
    if change.view.snoozed_until and change.view.snoozed_until <= change.now:
        acts.wake(change)
    elif change.asked_at and change.asked_at <= change.now - ANSWER_PATIENCE:
        acts.hand_over(change, "The assistant did not answer in time.")
    await _save(tx, change)


async def remember_member(tx: Tx, member: MemberView) -> None:
    """Copy a member, and let their unresolved conversations follow a new name or a departure."""
    before = await store.agent(tx, member.user_id)
    agent = Agent(id=member.user_id, name=member.name, is_active=member.is_active)
    await store.put_agent(tx, agent, member.role)
    if before is None or before == agent:
        return
    for conversation_id in await store.assigned_to(tx, agent.id, RENAMED_CONVERSATIONS):
        change = await store.lock(tx, conversation_id)
        acts.rename_assignee(change, agent)
        await _save(tx, change)


async def find_due(shards: Shards, shard: str, now: datetime) -> list[Due]:
    """Name the conversations of all organizations of a shard that the clock must wake."""
    return await store.due(shards, shard, now - ANSWER_PATIENCE, DUE_AT_ONCE)


async def _save(tx: Tx, change: Change, key: str | None = None) -> ConversationView:
    if change.events and not change.is_saved:
        await store.save(tx, change, key)
    for event in change.events:
        tx.emit(event)
    return change.view


async def _ask(tx: Tx, change: Change) -> None:
    limit = acts.QUESTION_MESSAGES + acts.HISTORY_MESSAGES
    newest = await store.messages_before(tx, change.view.id, None, limit, is_public=True)
    question, history = acts.question_and_history(newest)
    tx.emit(
        AnswerRequested(
            conversation_id=change.view.id,
            inbox_id=change.view.inbox_id,
            turn=change.turn,
            question=question,
            history=history,
        )
    )


async def _repeated(tx: Tx, change: Change, draft: Draft) -> Written:
    seq = change.repeated_seq or 0
    [message] = await store.messages_after(tx, change.view.id, seq - 1, 1, is_public=False)
    if not acts.is_same_message(message, draft):
        raise Conflict("This Idempotency-Key was already used for another message.")
    return Written(message, is_repeat=True)


def _draft(tx: Tx, author: Author, text: str, key: str | None, *, is_private: bool = False) -> Draft:
    return Draft(
        id=MessageId(new_id()),
        author=author,
        who=tx.actor,
        text=checks.checked_text(text),
        is_private=is_private,
        key=checks.checked_key(key),
    )
