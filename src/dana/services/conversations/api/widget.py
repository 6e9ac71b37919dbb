"""The widget: what a customer's browser asks, first with a public key, then with a visitor's token."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from dana.contracts.ids import ConversationId
from dana.contracts.views import ConversationView, MessageView, Status
from dana.platform.errors import Missing
from dana.platform.http.cached import public
from dana.platform.http.limited import limited
from dana.platform.identity import SYSTEM, Visitor
from dana.services.conversations import actions
from dana.services.conversations.api.parameters import (
    REPEATED,
    AtBooth,
    AtEntrance,
    Id,
    IdempotencyKey,
    Limit,
)
from dana.services.conversations.models.nouns import WidgetSettings

VISITOR_TOKEN_SECONDS = 90 * 24 * 3600  # a customer may come back for an answer weeks later


class NewVisitor(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who begins a conversation, as far as they say."""

    name: str | None = None
    email: str | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as its customer may see it."""

    id: ConversationId
    status: Status
    assignee_name: str | None
    version: int
    last_seq: int


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, the token that opens it, and from where the socket continues."""

    conversation_id: ConversationId
    token: str
    cursor: int
    conversation: Standing


class VisitorMessage(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A customer's message."""

    text: str


class VisitorPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of messages, oldest first, and how the conversation stands."""

    items: list[MessageView]
    next_cursor: str | None
    cursor: int
    conversation: Standing


@get("/{public_key:str}", operation_id="widget_settings", security=[])
async def widget_settings(
    public_key: FromPath[str], entrance: AtEntrance, request: Request[Any, Any, Any]
) -> Response[WidgetSettings]:
    """Read how an inbox presents itself."""
    org_id, inbox_id = await entrance.inbox(public_key)
    settings = await entrance.presenting.settings(org_id, inbox_id)
    return public(request, settings, entrance.presenting.surrogate_keys(inbox_id))


@post(
    "/{public_key:str}/conversations",
    operation_id="start_conversation",
    security=[],
    opt=limited("conversation"),
)
async def start_conversation(
    public_key: FromPath[str],
    entrance: AtEntrance,
    data: JSONBody[NewVisitor | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Started:
    """Begin a conversation. A repeat with the same Idempotency-Key, a random UUID, leads to the same one."""
    org_id, inbox_id = await entrance.inbox(public_key)
    who = data or NewVisitor()
    async with entrance.shards.tx(org_id, SYSTEM) as tx:
        cursor = await entrance.shards.cursor(tx)
        view = await actions.start(tx, inbox_id, who.name, who.email, idempotency_key)
    visitor = Visitor(org_id, view.id, view.contact.id, inbox_id, view.contact.name)
    return Started(
        conversation_id=view.id,
        token=entrance.keys.sign_visitor(visitor, VISITOR_TOKEN_SECONDS),
        cursor=cursor,
        conversation=_standing(view),
    )


@post(
    "/conversations/{conversation_id:uuid}/messages", operation_id="post_visitor_message", responses=REPEATED
)
async def post_visitor_message(
    conversation_id: Id,
    data: JSONBody[VisitorMessage],
    booth: AtBooth,
    idempotency_key: IdempotencyKey = None,
) -> Response[MessageView]:
    """Write as the customer. A repeat with the same Idempotency-Key answers 200."""
    async with booth.tx() as tx:
        message, is_repeat = await actions.receive(
            tx, _own(booth.visitor, conversation_id), data.text, idempotency_key
        )
    return Response(message, status_code=200 if is_repeat else 201)


@get("/conversations/{conversation_id:uuid}/messages", operation_id="list_visitor_messages")
async def list_visitor_messages(
    conversation_id: Id,
    booth: AtBooth,
    after: Annotated[int, QueryParameter(ge=0)] = 0,
    limit: Limit = 100,
) -> VisitorPage:
    """List the messages after the one with this `seq`, oldest first.

    An `after` beyond the last message is no place in this conversation: the list then begins at its start,
    so that a client that lost its place misses nothing.
    """
    own_id = _own(booth.visitor, conversation_id)
    async with booth.read() as tx:
        view = await actions.find_conversation(tx, own_id)
        cursor = await booth.shards.cursor(tx)
        start = after if after <= view.last_seq else 0
        found = await actions.list_messages_after(tx, own_id, start, limit + 1, is_public=True)
    return VisitorPage(
        items=found[:limit],
        next_cursor=str(found[limit - 1].seq) if len(found) > limit else None,
        cursor=cursor,
        conversation=_standing(view),
    )


def _own(visitor: Visitor, conversation_id: UUID) -> ConversationId:
    if visitor.conversation_id != conversation_id:
        raise Missing("There is no such conversation.")
    return visitor.conversation_id


def _standing(view: ConversationView) -> Standing:
    return Standing(
        id=view.id,
        status=view.status,
        assignee_name=view.assignee_name,
        version=view.version,
        last_seq=view.last_seq,
    )


ROUTES = [widget_settings, start_conversation, post_visitor_message, list_visitor_messages]
