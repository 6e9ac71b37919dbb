"""Invitations: a link for one e-mail address and one role, good for a week, used once."""

from datetime import UTC, datetime, timedelta

from dana.contracts.ids import InvitationId, UserId, new_id
from dana.contracts.views import Role
from dana.platform.database import CatalogTx
from dana.platform.errors import Conflict, Missing
from dana.platform.identity import Member, require
from dana.services.auth import store
from dana.services.auth.actions.accounts import authenticate
from dana.services.auth.actions.announcements import announce_or_leave
from dana.services.auth.actions.desk import Desk
from dana.services.auth.actions.members import join, present
from dana.services.auth.actions.sessions import open_session
from dana.services.auth.adapters import TokenKey, new_seed
from dana.services.auth.models import (
    INVITATION_SECONDS,
    Invitation,
    Opened,
    User,
    check_invite,
    clean_email,
    clean_name,
    clean_password,
)

GONE = "This invitation was used, taken back or has expired. Ask for a new one."
GENERATION = 0  # an invitation's token never rotates; a renewed invitation has a new seed


async def invite(tx: CatalogTx, actor: Member, email: str, role: Role) -> Invitation:
    """Invite somebody, or renew their invitation. Raises Invalid, Forbidden, Conflict."""
    inviter = await present(tx, actor)
    check_invite(inviter, role)
    email = clean_email(email)
    if await store.people.is_member(tx, actor.org_id, email):
        raise Conflict("This person is a member already. Change their role or access instead.")
    organization = await store.people.organization(tx, actor.org_id)
    invitation = Invitation(
        id=InvitationId(new_id()),
        org_id=actor.org_id,
        organization_name=organization.name,
        email=email,
        role=role,
        seed=new_seed(),
        expires_at=datetime.now(UTC) + timedelta(seconds=INVITATION_SECONDS),
    )
    return await store.access.put_invitation(tx, invitation, actor.user_id)


async def list_invitations(tx: CatalogTx, actor: Member, after: InvitationId, limit: int) -> list[Invitation]:
    """Read the invitations that wait to be accepted; raises Forbidden."""
    require(actor, Role.ADMIN)
    return await store.access.open_invitations_after(tx, actor.org_id, after, limit)


async def take_back(tx: CatalogTx, actor: Member, invitation_id: InvitationId) -> None:
    """Take an invitation back. Raises Forbidden, Missing."""
    inviter = await present(tx, actor)
    check_invite(inviter, Role.AGENT)
    if not await store.access.delete_invitation(tx, actor.org_id, invitation_id):
        raise Missing("There is no such invitation.")


def token_of(tokens: TokenKey, invitation: Invitation) -> str:
    """Compute the secret part of an invitation's link."""
    return tokens.make(invitation.id, GENERATION, invitation.seed)


async def look_up(tx: CatalogTx, tokens: TokenKey, token: str) -> Invitation:
    """Find the invitation of a link; raises Missing."""
    claim = tokens.read(token)
    invitation = await store.access.open_invitation(tx, claim.id) if claim else None
    if claim is None or invitation is None or not tokens.proves(claim, invitation.seed):
        raise Missing(GONE)
    return invitation


async def accept(desk: Desk, *, token: str, name: str, password: str, address: str) -> Opened:
    """Join an organization. Whoever has an account already proves it with its password.

    Raises Missing, Invalid, Unauthenticated, Limited, Conflict.
    """
    name = clean_name(name, "name")
    async with desk.catalog.read() as tx:
        invitation = await look_up(tx, desk.invitation_tokens, token)
        known = await store.people.user_by_email(tx, invitation.email)
    if known is not None:
        user = await authenticate(desk, email=known.email, password=password, address=address)
    else:
        password = clean_password(password, invitation.email)
        user = User(UserId(new_id()), invitation.email, await desk.passwords.hash(password))
    async with desk.catalog.tx() as tx:
        if not await store.access.accept_invitation(tx, invitation):
            raise Missing(GONE)
        if known is None and not await store.people.insert_user(tx, user):
            raise Conflict("An account with this e-mail address was made a moment ago. Try again.")
        member = await join(tx, invitation.org_id, user, name, invitation.role)
        opened = await open_session(tx, desk.refresh_tokens, member)
    await announce_or_leave(desk.shards, invitation.org_id)
    return opened
