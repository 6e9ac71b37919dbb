"""Sign-up, sign-in, renewal, sign-out, accepting an invitation, and the public keys."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get, post
from litestar.di import Provide
from litestar.params import JSONBody, PathParameter

from dana.platform.errors import Unauthenticated
from dana.platform.http.limited import address_of, limited
from dana.services.auth.actions import accounts, invitations, members, sessions
from dana.services.auth.api.entrance import (
    BODY_BYTES,
    COOKIE,
    AnEntrance,
    AnyRequest,
    SignedIn,
    Text,
    refuse_other_sites,
)
from dana.services.auth.models import InvitationCard, Profile, Session

Token = Annotated[str, PathParameter(max_length=200)]
PUBLIC: list[dict[str, list[str]]] = [{}]  # no token needed, in the words of OpenAPI


class SignUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new account and its organization."""

    email: Text
    password: Text
    name: Text
    organization: Text


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account."""

    email: Text
    password: Text


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who accepts an invitation; somebody who has an account gives its password."""

    name: Text
    password: Text


@post("/signup", security=PUBLIC, opt=limited("sign-up"))
async def sign_up(data: JSONBody[SignUp], request: AnyRequest, entrance: AnEntrance) -> Response[Session]:
    """Sign up with a new organization, as its owner."""
    opened = await accounts.sign_up(
        entrance.desk,
        email=data.email,
        password=data.password,
        name=data.name,
        organization=data.organization,
        address=address_of(request),
    )
    return entrance.answer(opened, status_code=201)


@post("/login", status_code=200, security=PUBLIC, opt=limited("sign-in"))
async def sign_in(data: JSONBody[SignIn], request: AnyRequest, entrance: AnEntrance) -> Response[Session]:
    """Sign in."""
    opened = await accounts.sign_in(
        entrance.desk, email=data.email, password=data.password, address=address_of(request)
    )
    return entrance.answer(opened)


@post("/refresh", status_code=200, security=PUBLIC)
async def refresh(request: AnyRequest, entrance: AnEntrance) -> Response[Session]:
    """Get a new access token for the refresh cookie, which is replaced too."""
    token = request.cookies.get(COOKIE)
    if not token:
        raise Unauthenticated("There is no session here. Sign in.")
    return entrance.answer(await sessions.refresh(entrance.desk, token))


@post("/logout", status_code=204, security=PUBLIC)
async def sign_out(request: AnyRequest, entrance: AnEntrance) -> Response[None]:
    """Sign out of this browser."""
    token = request.cookies.get(COOKIE)
    if token:
        async with entrance.desk.catalog.tx() as tx:
            await sessions.sign_out(tx, entrance.desk.refresh_tokens, token)
    return entrance.goodbye()


@post("/logout-everywhere", status_code=204)
async def sign_out_everywhere(member: SignedIn, entrance: AnEntrance) -> Response[None]:
    """Sign out of all browsers. Access tokens already given out end within ten minutes."""
    async with entrance.desk.catalog.tx() as tx:
        await sessions.sign_out_everywhere(tx, member)
    return entrance.goodbye()


@get("/me")
async def me(member: SignedIn, entrance: AnEntrance) -> Profile:
    """Tell who is signed in, and where."""
    async with entrance.desk.catalog.read() as tx:
        return await members.profile(tx, member)


@get("/invitations/{token:str}", security=PUBLIC)
async def look_up_invitation(entrance: AnEntrance, token: Token) -> InvitationCard:
    """Show what an invitation's link is for."""
    async with entrance.desk.catalog.read() as tx:
        found = await invitations.look_up(tx, entrance.desk.invitation_tokens, token)
    return InvitationCard(organization_name=found.organization_name, email=found.email, role=found.role)


@post("/invitations/{token:str}/accept", security=PUBLIC, opt=limited("sign-in"))
async def accept_invitation(
    data: JSONBody[Acceptance],
    request: AnyRequest,
    entrance: AnEntrance,
    token: Token,
) -> Response[Session]:
    """Accept an invitation, and be signed in."""
    opened = await invitations.accept(
        entrance.desk,
        token=token,
        name=data.name,
        password=data.password,
        address=address_of(request),
    )
    return entrance.answer(opened, status_code=201)


@get("/jwks.json", security=PUBLIC)
async def jwks(entrance: AnEntrance) -> dict[str, Any]:
    """Publish the keys that verify our tokens (RFC 7517)."""
    return entrance.keys.jwks()


def session_routers(dependencies: Mapping[str, Provide]) -> list[Router]:
    """Make the routers of sessions."""
    handlers = [
        sign_up,
        sign_in,
        refresh,
        sign_out,
        sign_out_everywhere,
        me,
        look_up_invitation,
        accept_invitation,
    ]
    return [
        Router(
            "/api/v1/auth",
            route_handlers=handlers,
            dependencies=dependencies,
            request_max_body_size=BODY_BYTES,
            before_request=refuse_other_sites,
            tags=["auth"],
        ),
        Router("/.well-known", route_handlers=[jwks], dependencies=dependencies, tags=["auth"]),
    ]
