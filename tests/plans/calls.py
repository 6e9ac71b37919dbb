"""A call of every function of every store, in every shape the API allows; what is written is rolled back.

A function that isn't named here, nor among the exceptions with their reasons, fails the test.
"""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from dana.contracts.ids import (
    ContactId,
    ConversationId,
    DocumentId,
    InboxId,
    InvitationId,
    LongJobId,
    MessageId,
    OrgId,
    UserId,
    new_id,
)
from dana.contracts.views import (
    Author,
    ContactView,
    ConversationView,
    DocumentStatus,
    InboxView,
    Role,
    Status,
)
from dana.platform.database import Tx
from dana.platform.identity import Actor
from dana.services.ai import store as ai
from dana.services.ai.models.assistant import Assistant
from dana.services.conversations import store as talk
from dana.services.conversations.models import nouns
from dana.services.conversations.models.bulk import Choice, Deletion, Part
from dana.services.conversations.models.finding import asked_keys, asked_terms
from dana.services.knowledge import store as knowledge
from dana.services.knowledge.models.documents import Kind
from dana.services.knowledge.models.passages import Passage
from dana.services.realtime import store as realtime

PAGE = 101
NOW = datetime.now(UTC)
SHARD = "shard1"
QUERIES = (
    "the",
    "staf",
    "xylophone",
    "kilimanjaro the",
    "phone regards",
    "1000002@shop.test",
    "返品",
    "none",
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Whose rows are asked for."""

    org_id: OrgId
    inbox_id: InboxId
    agent_id: UserId
    conversation_id: ConversationId
    message_ids: list[MessageId]
    document_ids: list[DocumentId]
    user_id: UserId
    session_id: UUID
    invitation_id: InvitationId
    cursor: int


async def _every_list(tx: Tx, c: Cast) -> None:
    for status, inbox_id, agent_id, is_deep in itertools.product(
        (None, *Status), (None, c.inbox_id), (None, c.agent_id), (False, True)
    ):
        wanted = nouns.Filter(status=status, inbox_id=inbox_id, assignee_id=agent_id)
        place = (NOW - timedelta(days=400), UUID(int=2**128 - 1)) if is_deep else None
        await talk.conversations(tx, wanted, place, PAGE)


async def _every_search(tx: Tx, c: Cast) -> None:
    for query, place in itertools.product(
        QUERIES, (None, nouns.Bookmark(c.cursor // 2, MessageId(UUID(int=2**128 - 1))))
    ):
        keys = asked_keys(c.org_id, asked_terms(query))
        ids, _ = await talk.search(tx, keys, place, PAGE, 1.0)
        await talk.candidates(tx, ids)


async def _every_page_of_messages(tx: Tx, c: Cast) -> None:
    for is_public in (False, True):
        for before in (None, 2):
            await talk.messages_before(tx, c.conversation_id, before, PAGE, is_public=is_public)
        await talk.messages_after(tx, c.conversation_id, 1, PAGE, is_public=is_public)


async def _every_write(tx: Tx, c: Cast) -> None:
    who = Actor("user", c.agent_id, "Ana")
    for plain in (nouns.PLAIN_REPLY, nouns.PLAIN_NOTE, nouns.PLAIN_CUSTOMER):
        await talk.lock_to_write(tx, c.conversation_id, _draft(who), plain)
    change = await talk.lock(tx, c.conversation_id)
    change.append_draft(_draft(who))
    await talk.save(tx, change, "another key")
    change.set(status=Status.OPEN if change.view.status is Status.RESOLVED else Status.RESOLVED)
    change.messages.clear()
    await talk.save(tx, change)


def _draft(who: Actor) -> nouns.Draft:
    return nouns.Draft(
        id=MessageId(new_id()), author=Author.AGENT, who=who, text="hello", is_private=False, key=str(uuid4())
    )


async def _begin(tx: Tx, c: Cast) -> None:
    contact = ContactView(id=ContactId(new_id()), name="Carla", email=None, created_at=NOW)
    view = ConversationView(
        id=ConversationId(new_id()),
        inbox_id=c.inbox_id,
        contact=contact,
        status=Status.OPEN,
        assignee_id=None,
        assignee_name=None,
        last_seq=0,
        last_text="",
        last_author=None,
        unread_count=0,
        version=1,
        snoozed_until=None,
        last_activity_at=NOW,
        created_at=NOW,
    )
    key = str(uuid4())
    await talk.lock_start(tx, c.inbox_id, key)
    await talk.add_conversation(tx, view, key)


async def _every_inbox(tx: Tx, c: Cast) -> None:
    inbox = await talk.lock_inbox(tx, c.inbox_id)
    await talk.save_inbox(tx, inbox)
    await talk.inbox(tx, c.inbox_id)
    for after in (None, c.inbox_id):
        await talk.inboxes(tx, after, PAGE)
    fields = {"name": "n", "channel": "web_widget", "public_key": "k", "greeting": ""}
    await talk.add_inbox(
        tx, InboxView(id=InboxId(new_id()), is_assistant_enabled=True, created_at=NOW, **fields)
    )
    agent = nouns.Agent(id=c.agent_id, name="Ana", is_active=True)
    await talk.put_agent(tx, agent, Role.AGENT)
    await talk.agent(tx, c.agent_id)


async def _make_searchable(tx: Tx, c: Cast) -> None:
    await tx.execute(
        "update conversations.messages set search_keys = null where id = any ($1::uuid[])", c.message_ids
    )
    await talk.make_searchable(tx, c.message_ids)


CHOICES = [
    Choice(status=status, quiet_since=quiet_since)
    for status, quiet_since in itertools.product((None, *Status), (None, NOW - timedelta(days=30)))
]


async def _every_choice(tx: Tx, c: Cast) -> None:
    long_ago = NOW - timedelta(days=30)
    for status, inbox_id in ((Status.RESOLVED, None), (Status.OPEN, c.inbox_id), (None, c.inbox_id)):
        await talk.count_chosen(tx, Choice(status=status, inbox_id=inbox_id, quiet_since=long_ago))


async def _every_deletion(tx: Tx, c: Cast) -> None:
    deep = Deletion(active_at=NOW - timedelta(days=400), conversation_id=c.conversation_id)
    for choice, inbox_id, last in itertools.product(CHOICES, (None, c.inbox_id), (None, deep)):
        chosen = msgspec.structs.replace(choice, inbox_id=inbox_id)
        places = await talk.places_after(tx, chosen, last, 100)
        await talk.lock_quiet(tx, chosen, [place.id for place in places])
    doomed = await talk.lock_quiet(tx, Choice(), [c.conversation_id])
    await talk.delete_conversations(tx, doomed)


async def _every_transfer(tx: Tx, c: Cast) -> None:
    for after in (None, c.conversation_id):
        found = await talk.conversations_from(tx, after, 100)
        await talk.messages_of(tx, [view.id for view, _ in found[:20]])
    keys = [f"import:{n}" for n in range(100)]
    await talk.imported_conversations(tx, c.inbox_id, keys, [c.conversation_id])
    await talk.imported_messages(tx, [c.conversation_id], keys, list(c.message_ids))


async def _every_part(tx: Tx, c: Cast) -> None:
    job_id = LongJobId(new_id())
    await talk.add_parts(tx, job_id, [Part(n, 1, 1, 1, b"", b"") for n in range(3)])
    await talk.part(tx, job_id, 1)
    await talk.described_parts(tx, job_id)
    await talk.delete_part(tx, job_id, 1)
    await talk.delete_parts(tx, job_id)


TALK: dict[str, Callable[[Tx, Cast], Awaitable[Any]]] = {
    "conversation": lambda tx, c: talk.conversation(tx, c.conversation_id),
    "conversations": _every_list,
    "search candidates": _every_search,
    "messages_before messages_after": _every_page_of_messages,
    "lock lock_to_write save": _every_write,
    "lock_start add_conversation": _begin,
    "add_inbox lock_inbox save_inbox inbox inboxes put_agent agent": _every_inbox,
    "counts": lambda tx, c: talk.counts(tx),
    "assigned_to": lambda tx, c: talk.assigned_to(tx, c.agent_id, 500),
    "make_searchable": _make_searchable,
    "count_chosen": _every_choice,
    "places_after lock_quiet delete_conversations": _every_deletion,
    "conversations_from messages_of imported_conversations imported_messages": _every_transfer,
    "add_parts part described_parts delete_part delete_parts": _every_part,
}

AI: dict[str, Callable[[Tx, Cast], Awaitable[Any]]] = {
    "raise_fence": lambda tx, c: ai.raise_fence(tx, c.conversation_id, 5),
    "finish_turn": lambda tx, c: ai.finish_turn(tx, c.conversation_id, 5),
    "read_fence": lambda tx, c: ai.read_fence(tx, c.conversation_id),
    "forget_turns": lambda tx, c: ai.forget_turns(tx, [c.conversation_id]),
    "read_assistant": lambda tx, c: ai.read_assistant(tx),
    "write_assistant": lambda tx, c: ai.write_assistant(tx, Assistant(), None),
}


async def _new_document(tx: Tx, c: Cast) -> None:
    document_id = DocumentId(new_id())
    await knowledge.insert_document(
        tx, document_id, title="t", filename="f.md", kind=Kind.MARKDOWN, content=b""
    )
    await knowledge.insert_passages(tx, document_id, [Passage("text")], None)
    await knowledge.insert_postings(tx, document_id, 0, [1, 2], [300, 301])
    await knowledge.change_document(tx, document_id, DocumentStatus.SEARCHABLE, 1.0)
    await knowledge.count_corpus(tx, 1, 1)
    await knowledge.delete_index(tx, document_id)
    await knowledge.delete_document(tx, c.document_ids[0])


KNOWLEDGE: dict[str, Callable[[Tx, Cast], Awaitable[Any]]] = {
    "insert_document insert_passages insert_postings change_document count_corpus"
    " delete_index delete_document": _new_document,
    "documents_before": lambda tx, c: knowledge.documents_before(tx, c.document_ids[0], PAGE),
    "documents_before ": lambda tx, c: knowledge.documents_before(tx, None, PAGE),
    "document": lambda tx, c: knowledge.document(tx, c.document_ids[0]),
    "documents_named": lambda tx, c: knowledge.documents_named(tx, ["file1.md", "file7.md"]),
    "lock_document": lambda tx, c: knowledge.lock_document(tx, c.document_ids[0]),
    "file_content": lambda tx, c: knowledge.file_content(tx, c.document_ids[0]),
    "corpus": lambda tx, c: knowledge.corpus(tx),
    "count_terms": lambda tx, c: knowledge.count_terms(tx, [1, 2, 99]),
    "best_by_terms": lambda tx, c: knowledge.best_by_terms(tx, {1: 1.0, 5: 2.0}, 50),
    "count_documents": lambda tx, c: knowledge.count_documents(tx),
    "searchable_after": lambda tx, c: knowledge.searchable_after(tx, c.document_ids[0]),
    "searchable_after ": lambda tx, c: knowledge.searchable_after(tx, None),
    "searchable_documents": lambda tx, c: knowledge.searchable_documents(tx),
    "vectors_of": lambda tx, c: knowledge.vectors_of(tx, c.document_ids),
    "passages_at": lambda tx, c: knowledge.passages_at(tx, [(one, 0) for one in c.document_ids]),
    "passages_of": lambda tx, c: knowledge.passages_of(tx, c.document_ids[0], 1, PAGE),
}


async def _every_event(tx: Tx, c: Cast) -> None:
    await realtime.read_newest(tx)
    await realtime.is_logged(tx, c.cursor)
    await realtime.read_events(tx, c.cursor - 200, c.cursor, PAGE, None)
    await realtime.read_events_about(tx, c.conversation_id, 0, c.cursor, PAGE, position=None)


REALTIME: dict[str, Callable[[Tx, Cast], Awaitable[Any]]] = {
    "read_newest is_logged read_events read_events_about": _every_event,
}
