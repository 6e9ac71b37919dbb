"""Accounts: signing up with a new organization, and signing in."""

import structlog

from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import Role
from dana.platform.errors import Conflict, Forbidden, Unauthenticated
from dana.services.auth import store
from dana.services.auth.actions.announcements import announce_or_leave
from dana.services.auth.actions.attempts import admit, forgive, sign_in_limits, sign_up_limits
from dana.services.auth.actions.desk import Desk
from dana.services.auth.actions.members import join
from dana.services.auth.actions.sessions import open_session
from dana.services.auth.models import (
    Opened,
    Organization,
    User,
    clean_email,
    clean_name,
    clean_password,
    fold_password,
)

log = structlog.get_logger(__name__)

TAKEN = "There is an account with this e-mail address already. Sign in instead."
WRONG = "The e-mail address or the password is wrong."


async def sign_up(
    desk: Desk, *, email: str, password: str, name: str, organization: str, address: str
) -> Opened:
    """Make an account, an organization, and the account its owner. Raises Invalid, Conflict, Limited.

    The place on a shard comes first: if anything after it fails, an empty place is left over and nothing
    else, and the person may simply try again.
    """
    email = clean_email(email)
    password = clean_password(password, email)
    name = clean_name(name, "name")
    founded = Organization(OrgId(new_id()), clean_name(organization, "organization"))
    limits = sign_up_limits(desk.attempt_key, address)
    async with desk.catalog.tx() as tx:
        await admit(tx, limits)
        taken = await store.people.user_by_email(tx, email)
    if taken is not None:
        raise Conflict(TAKEN)
    user = User(UserId(new_id()), email, await desk.passwords.hash(password))
    await desk.shards.place(founded.id)
    async with desk.catalog.tx() as tx:
        if not await store.people.insert_user(tx, user):
            raise Conflict(TAKEN)
        await store.people.insert_organization(tx, founded)
        owner = await join(tx, founded.id, user, name, Role.OWNER)
        opened = await open_session(tx, desk.refresh_tokens, owner)
        await forgive(tx, limits)
    await announce_or_leave(desk.shards, founded.id)
    log.info("signed_up", organization=str(founded.id), user=str(user.id))
    return opened


async def sign_in(desk: Desk, *, email: str, password: str, address: str) -> Opened:
    """Open a session where the person was last. Raises Invalid, Unauthenticated, Forbidden, Limited.

    An unknown e-mail address and a wrong password get the same answer after the same time.
    """
    user = await authenticate(desk, email=email, password=password, address=address)
    async with desk.catalog.tx() as tx:
        member = await store.people.last_used_membership(tx, user.id)
        if member is None:
            raise Forbidden("Your access was ended. Ask an owner of the organization.")
        return await open_session(tx, desk.refresh_tokens, member)


async def authenticate(desk: Desk, *, email: str, password: str, address: str) -> User:
    """Check a password; raises Invalid, Unauthenticated, or Limited after too many wrong ones."""
    email = clean_email(email)
    password = fold_password(password)
    limits = sign_in_limits(desk.attempt_key, address, email)
    async with desk.catalog.tx() as tx:
        await admit(tx, limits)
        user = await store.people.user_by_email(tx, email)
    is_right = await desk.passwords.verify(user.password_hash if user else None, password)
    if user is None or not is_right:
        raise Unauthenticated(WRONG)
    renewed = await desk.passwords.renewed(user.password_hash, password)
    async with desk.catalog.tx() as tx:
        await forgive(tx, limits)
        if renewed is not None:
            await store.people.change_password_hash(tx, user.id, user.password_hash, renewed)
    return user
