"""Inboxes, for members; an admin's role is needed to change them."""

from typing import Literal
from uuid import UUID

import msgspec
from litestar import get, patch, post
from litestar.params import JSONBody

from dana.contracts.ids import InboxId, new_id
from dana.contracts.views import InboxView, Role
from dana.platform.errors import Invalid
from dana.platform.http import Page, decode_cursor, encode_cursor
from dana.platform.identity import require
from dana.services.conversations import actions
from dana.services.conversations.api.parameters import MAX_PAGE, AtDesk, Cursor, Id, Limit


class NewInbox(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a new inbox needs."""

    name: str
    channel: Literal["web_widget"]
    greeting: str = ""
    is_assistant_enabled: bool = True


class InboxChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to change; what is left out stays."""

    name: str | None = None
    greeting: str | None = None
    is_assistant_enabled: bool | None = None


@post("/", operation_id="create_inbox")
async def create_inbox(data: JSONBody[NewInbox], desk: AtDesk) -> InboxView:
    """Open an inbox. Its `public_key` goes into the snippet on the web page."""
    require(desk.member, Role.ADMIN)
    inbox_id, public_key = InboxId(new_id()), actions.new_public_key()
    # The route comes first: a route without an inbox leads nowhere, an inbox without a route is unreachable.
    await desk.shards.catalog.publish_route(public_key, desk.member.org_id, inbox_id)
    async with desk.tx() as tx:
        return await actions.create_inbox(
            tx,
            inbox_id,
            public_key,
            data.name,
            data.greeting,
            is_assistant_enabled=data.is_assistant_enabled,
        )


@get("/", operation_id="list_inboxes")
async def list_inboxes(
    desk: AtDesk,
    cursor: Cursor = None,
    limit: Limit = MAX_PAGE,
) -> Page[InboxView]:
    """List the inboxes, oldest first."""
    async with desk.read() as tx:
        found = await actions.list_inboxes(tx, _inbox_id(cursor), limit + 1)
    next_cursor = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return Page(items=found[:limit], next_cursor=next_cursor)


@patch("/{inbox_id:uuid}", operation_id="change_inbox")
async def change_inbox(inbox_id: Id, data: JSONBody[InboxChanges], desk: AtDesk) -> InboxView:
    """Change an inbox's name, greeting, or whether the assistant answers first."""
    require(desk.member, Role.ADMIN)
    async with desk.tx() as tx:
        return await actions.change_inbox(
            tx,
            InboxId(inbox_id),
            name=data.name,
            greeting=data.greeting,
            is_assistant_enabled=data.is_assistant_enabled,
        )


def _inbox_id(cursor: str | None) -> InboxId | None:
    if cursor is None:
        return None
    try:
        return InboxId(UUID(decode_cursor(cursor, 1)[0]))
    except ValueError:
        raise Invalid("This cursor is not valid here.") from None


ROUTES = [create_inbox, list_inboxes, change_inbox]
