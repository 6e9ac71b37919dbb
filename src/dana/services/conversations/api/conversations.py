"""Conversations and their messages, for members."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from dana.contracts.ids import ConversationId, InboxId, UserId
from dana.contracts.views import ConversationView, MessageView, Status
from dana.platform.errors import Invalid
from dana.platform.http import decode_cursor, encode_cursor
from dana.services.conversations import actions
from dana.services.conversations.api import bulk
from dana.services.conversations.api.parameters import (
    REPEATED,
    AtDesk,
    Cursor,
    Id,
    IdempotencyKey,
    Limit,
    Seq,
)
from dana.services.conversations.api.search import search_conversations
from dana.services.conversations.models.nouns import Counts, Filter


class ConversationPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of conversations; the socket continues from `org_cursor`."""

    items: list[ConversationView]
    next_cursor: str | None
    org_cursor: int


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of messages, oldest first; the socket continues from `org_cursor`."""

    items: list[MessageView]
    next_cursor: str | None
    """The next `before` when reading backwards, the next `after` when reading forwards."""
    org_cursor: int


class NewMessage(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A reply to the customer, or a private note."""

    text: str
    is_private: bool = False


class Assignment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who is to care for the conversation; null for nobody."""

    assignee_id: UserId | None


class Snooze(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Until when the conversation sleeps."""

    until: datetime


@get("/", operation_id="list_conversations")
async def list_conversations(
    desk: AtDesk,
    *,
    status: FromQuery[Status | None] = None,
    inbox_id: FromQuery[UUID | None] = None,
    assignee_id: FromQuery[UUID | None] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ConversationPage:
    """List conversations, newest activity first."""
    wanted = Filter(
        status=status,
        inbox_id=InboxId(inbox_id) if inbox_id else None,
        assignee_id=UserId(assignee_id) if assignee_id else None,
    )
    async with desk.read() as tx:
        found = await actions.list_conversations(tx, wanted, _place(cursor), limit + 1)
        org_cursor = await desk.shards.cursor(tx)
    last = found[limit - 1] if len(found) > limit else None
    return ConversationPage(
        items=found[:limit],
        next_cursor=encode_cursor(last.last_activity_at.isoformat(), last.id) if last else None,
        org_cursor=org_cursor,
    )


@get("/counts", operation_id="count_conversations")
async def count_conversations(desk: AtDesk) -> Counts:
    """Say how many conversations stand where, and how many have a message no agent has seen."""
    async with desk.read() as tx:
        return await actions.count(tx)


@get("/{conversation_id:uuid}", operation_id="get_conversation")
async def get_conversation(conversation_id: Id, desk: AtDesk) -> ConversationView:
    """Read one conversation."""
    async with desk.read() as tx:
        return await actions.find_conversation(tx, ConversationId(conversation_id))


@get("/{conversation_id:uuid}/messages", operation_id="list_messages")
async def list_messages(
    conversation_id: Id,
    desk: AtDesk,
    *,
    before: Seq = None,
    after: Seq = None,
    limit: Limit = 50,
) -> MessagePage:
    """List messages, oldest first: the newest page, or the one before or after a message's `seq`."""
    if before is not None and after is not None:
        raise Invalid("Give `before` or `after`, not both.")
    found_id = ConversationId(conversation_id)
    async with desk.read() as tx:
        await actions.find_conversation(tx, found_id)
        org_cursor = await desk.shards.cursor(tx)
        if after is None:
            found = await actions.list_messages_before(tx, found_id, before, limit + 1, is_public=False)
            page = found[:limit][::-1]
            next_seq = page[0].seq if len(found) > limit else None
        else:
            found = await actions.list_messages_after(tx, found_id, after, limit + 1, is_public=False)
            page = found[:limit]
            next_seq = page[-1].seq if len(found) > limit else None
    return MessagePage(
        items=page, next_cursor=None if next_seq is None else str(next_seq), org_cursor=org_cursor
    )


@post("/{conversation_id:uuid}/messages", operation_id="post_message", responses=REPEATED)
async def post_message(
    conversation_id: Id,
    data: JSONBody[NewMessage],
    desk: AtDesk,
    idempotency_key: IdempotencyKey = None,
) -> Response[MessageView]:
    """Reply to the customer, or leave a private note. A repeat with the same Idempotency-Key answers 200."""
    async with desk.tx() as tx:
        message, is_repeat = await actions.reply(
            tx, ConversationId(conversation_id), data.text, idempotency_key, is_private=data.is_private
        )
    return Response(message, status_code=200 if is_repeat else 201)


@post("/{conversation_id:uuid}/take-over", status_code=200, operation_id="take_over")
async def take_over(conversation_id: Id, desk: AtDesk) -> ConversationView:
    """Make the conversation yours; the assistant writes nothing from here on."""
    async with desk.tx() as tx:
        return await actions.take_over(tx, ConversationId(conversation_id))


@post("/{conversation_id:uuid}/assign", status_code=200, operation_id="assign")
async def assign(conversation_id: Id, data: JSONBody[Assignment], desk: AtDesk) -> ConversationView:
    """Give the conversation to a member, or to nobody."""
    async with desk.tx() as tx:
        return await actions.assign(tx, ConversationId(conversation_id), data.assignee_id)


@post("/{conversation_id:uuid}/resolve", status_code=200, operation_id="resolve")
async def resolve(conversation_id: Id, desk: AtDesk) -> ConversationView:
    """Close the matter; the customer's next message reopens it."""
    async with desk.tx() as tx:
        return await actions.resolve(tx, ConversationId(conversation_id))


@post("/{conversation_id:uuid}/reopen", status_code=200, operation_id="reopen")
async def reopen(conversation_id: Id, desk: AtDesk) -> ConversationView:
    """Open a resolved or snoozed conversation again."""
    async with desk.tx() as tx:
        return await actions.reopen(tx, ConversationId(conversation_id))


@post("/{conversation_id:uuid}/snooze", status_code=200, operation_id="snooze")
async def snooze(conversation_id: Id, data: JSONBody[Snooze], desk: AtDesk) -> ConversationView:
    """Let the conversation sleep until a time, or until the customer writes."""
    async with desk.tx() as tx:
        return await actions.snooze(tx, ConversationId(conversation_id), data.until)


@post("/{conversation_id:uuid}/read", status_code=200, operation_id="read")
async def read(conversation_id: Id, desk: AtDesk) -> ConversationView:
    """Say that you have seen the customer's messages."""
    async with desk.tx() as tx:
        return await actions.read(tx, ConversationId(conversation_id))


def _place(cursor: str | None) -> tuple[datetime, ConversationId] | None:
    if cursor is None:
        return None
    moment, conversation_id = decode_cursor(cursor, 2)
    try:
        return datetime.fromisoformat(moment), ConversationId(UUID(conversation_id))
    except ValueError:
        raise Invalid("This cursor is not valid here; take it from `next_cursor` of the same list.") from None


ROUTES = [
    list_conversations,
    count_conversations,
    search_conversations,
    get_conversation,
    list_messages,
    post_message,
    take_over,
    assign,
    resolve,
    reopen,
    snooze,
    read,
    *bulk.ROUTES,
]
