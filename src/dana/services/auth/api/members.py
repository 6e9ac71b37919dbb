"""The members of an organization, and the invitations that wait."""

from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.di import Provide
from litestar.params import FromPath, JSONBody, QueryParameter

from dana.contracts.ids import InvitationId, UserId
from dana.contracts.views import MemberView, Role
from dana.platform.errors import Invalid
from dana.platform.http import Page, decode_cursor, encode_cursor
from dana.services.auth.actions import invitations, members
from dana.services.auth.api.entrance import BODY_BYTES, AnEntrance, Entrance, SignedIn, Text
from dana.services.auth.models import Invitation, InvitationView, MemberChange

PAGE_MOST = 500
FIRST: Final = UUID(int=0)

Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_MOST)]
Cursor = Annotated[str | None, QueryParameter(max_length=200)]


class NewInvitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to invite, and as what."""

    email: Text
    role: Role = Role.AGENT


@get("/members")
async def list_members(
    member: SignedIn, entrance: AnEntrance, limit: Limit = PAGE_MOST, cursor: Cursor = None
) -> Page[MemberView]:
    """List the members of your organization."""
    after = UserId(_read(cursor))
    async with entrance.desk.catalog.read() as tx:
        found = await members.list_members(tx, member, after, limit + 1)
    items = [each.view() for each in found[:limit]]
    return Page(items=items, next_cursor=encode_cursor(items[-1].user_id) if len(found) > limit else None)


@patch("/members/{user_id:uuid}")
async def change_member(
    user_id: FromPath[UUID], data: JSONBody[MemberChange], member: SignedIn, entrance: AnEntrance
) -> MemberView:
    """Change a member's role, access or name. Who loses access is out within ten minutes."""
    changed = await members.change_member(entrance.desk, member, UserId(user_id), data)
    return changed.view()


@get("/invitations")
async def list_invitations(
    member: SignedIn, entrance: AnEntrance, limit: Limit = PAGE_MOST, cursor: Cursor = None
) -> Page[InvitationView]:
    """List the invitations that wait to be accepted."""
    after = InvitationId(_read(cursor))
    async with entrance.desk.catalog.read() as tx:
        found = await invitations.list_invitations(tx, member, after, limit + 1)
    items = [_view(entrance, each) for each in found[:limit]]
    return Page(items=items, next_cursor=encode_cursor(items[-1].id) if len(found) > limit else None)


@post("/invitations")
async def invite(data: JSONBody[NewInvitation], member: SignedIn, entrance: AnEntrance) -> InvitationView:
    """Invite somebody by link. Inviting the same address again makes the former link useless."""
    async with entrance.desk.catalog.tx() as tx:
        invitation = await invitations.invite(tx, member, data.email, data.role)
    return _view(entrance, invitation)


@delete("/invitations/{invitation_id:uuid}")
async def take_back_invitation(invitation_id: FromPath[UUID], member: SignedIn, entrance: AnEntrance) -> None:
    """Take an invitation back; its link is dead at once."""
    async with entrance.desk.catalog.tx() as tx:
        await invitations.take_back(tx, member, InvitationId(invitation_id))


def member_routers(dependencies: Mapping[str, Provide]) -> list[Router]:
    """Make the routers of members and invitations."""
    handlers = [list_members, change_member, list_invitations, invite, take_back_invitation]
    return [
        Router(
            "/api/v1",
            route_handlers=handlers,
            dependencies=dependencies,
            request_max_body_size=BODY_BYTES,
            tags=["members"],
        )
    ]


def _view(entrance: Entrance, invitation: Invitation) -> InvitationView:
    token = invitations.token_of(entrance.desk.invitation_tokens, invitation)
    return InvitationView(
        id=invitation.id,
        email=invitation.email,
        role=invitation.role,
        link=f"{entrance.public_url}/invite/{token}",
        expires_at=invitation.expires_at,
    )


def _read(cursor: str | None) -> UUID:
    if cursor is None:
        return FIRST
    (text,) = decode_cursor(cursor, 1)
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("This cursor is not valid here; take it from `next_cursor` of the same list.") from None
