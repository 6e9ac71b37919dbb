"""Members: who belongs to an organization, joining it, and changes of role, access and name."""

from dataclasses import replace

from dana.contracts.ids import OrgId, UserId
from dana.contracts.views import Role
from dana.platform.database import CatalogTx
from dana.platform.errors import Conflict, Missing, Unauthenticated
from dana.platform.identity import Member
from dana.services.auth import store
from dana.services.auth.actions.announcements import announce_or_leave
from dana.services.auth.actions.desk import Desk
from dana.services.auth.models import (
    MemberChange,
    Membership,
    Profile,
    User,
    check_change,
    check_owner_remains,
    clean_name,
)


async def join(tx: CatalogTx, org_id: OrgId, user: User, name: str, role: Role) -> Membership:
    """Make a person a member; raises Conflict when they are one already."""
    if not await store.people.insert_membership(tx, org_id, user.id, name, role):
        raise Conflict("You are a member of this organization already. Sign in instead.")
    return Membership(org_id, user.id, name, user.email, role, True, 1, user.platform_role)


async def present(tx: CatalogTx, member: Member) -> Membership:
    """Read the member behind a token as they are now; raises Unauthenticated when their access was ended."""
    current = await store.people.member(tx, member.org_id, member.user_id)
    if current is None or not current.is_active:
        raise Unauthenticated("Your access to this organization was ended.")
    return current


async def profile(tx: CatalogTx, member: Member) -> Profile:
    """Tell who is signed in, and where."""
    current = await present(tx, member)
    organization = await store.people.organization(tx, member.org_id)
    return Profile(organization_id=organization.id, organization_name=organization.name, user=current.view())


async def list_members(tx: CatalogTx, member: Member, after: UserId, limit: int) -> list[Membership]:
    """Read the members of one's own organization."""
    return await store.people.members_after(tx, member.org_id, after, limit)


async def change_member(desk: Desk, actor: Member, user_id: UserId, change: MemberChange) -> Membership:
    """Change a member and tell the others. Raises Forbidden, Missing, Conflict, Invalid."""
    async with desk.catalog.tx() as tx:
        changed = await apply_change(tx, actor, user_id, change)
    await announce_or_leave(desk.shards, actor.org_id)
    return changed


async def apply_change(tx: CatalogTx, actor: Member, user_id: UserId, change: MemberChange) -> Membership:
    """Change a member. What the actor may do is read anew: a token may be some minutes old."""
    await store.people.lock_organization(tx, actor.org_id)
    changer = await present(tx, actor)
    target = await store.people.member(tx, actor.org_id, user_id)
    if target is None:
        raise Missing("There is no such member.")
    check_change(changer, target, change)
    changed = _changed(target, change)
    if changed == target:
        return target
    others = await store.people.other_active_owners(tx, actor.org_id, user_id)
    check_owner_remains(target, changed, others)
    changed = replace(changed, version=target.version + 1)
    await store.people.update_membership(tx, changed)
    if not changed.is_active:
        await store.access.revoke_sessions(tx, user_id, actor.org_id)
    return changed


def _changed(target: Membership, change: MemberChange) -> Membership:
    return replace(
        target,
        name=target.name if change.name is None else clean_name(change.name, "name"),
        role=target.role if change.role is None else change.role,
        is_active=target.is_active if change.is_active is None else change.is_active,
    )
