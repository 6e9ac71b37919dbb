"""Users, organizations and memberships, on the catalog."""

from asyncpg import Record

from dana.contracts.ids import OrgId, UserId
from dana.contracts.views import PlatformRole, Role
from dana.platform.database import CatalogTx
from dana.services.auth.models import Membership, Organization, User

# A member with what stands at the person: the e-mail address, and the role on the platform.
MEMBER = """
select m.org_id, m.user_id, m.name, u.email, m.role, m.is_active, m.version, u.platform_role
  from auth.memberships m join auth.users u on u.id = m.user_id"""


async def user_by_email(tx: CatalogTx, email: str) -> User | None:
    """Find a person."""
    row = await tx.fetchrow(
        "select id, email, password_hash, platform_role from auth.users where email = $1", email
    )
    if row is None:
        return None
    return User(row["id"], row["email"], row["password_hash"], _platform_role(row))


async def grant_platform_role(tx: CatalogTx, email: str, role: PlatformRole | None) -> bool:
    """Give a person a role on the platform, or take it away; False when nobody has this address."""
    granted = await tx.fetchval(
        "update auth.users set platform_role = $2 where email = $1 returning true", email, role
    )
    return granted is True


async def platform_roles(tx: CatalogTx) -> list[tuple[str, PlatformRole]]:
    """Read who has a role on the platform."""
    rows = await tx.fetch(
        "select email, platform_role from auth.users where platform_role is not null order by email"
    )
    return [(row["email"], PlatformRole(row["platform_role"])) for row in rows]


async def insert_user(tx: CatalogTx, user: User) -> bool:
    """Add a person; False when the e-mail address is taken."""
    added = await tx.fetchval(
        "insert into auth.users (id, email, password_hash) values ($1, $2, $3)"
        " on conflict do nothing returning true",
        user.id,
        user.email,
        user.password_hash,
    )
    return added is True


async def change_password_hash(tx: CatalogTx, user_id: UserId, old: str, new: str) -> None:
    """Replace a hash, unless it was replaced meanwhile."""
    await tx.execute(
        "update auth.users set password_hash = $3 where id = $1 and password_hash = $2", user_id, old, new
    )


async def insert_organization(tx: CatalogTx, organization: Organization) -> None:
    """Add an organization that has its place on a shard."""
    await tx.execute(
        "insert into auth.organizations (id, name) values ($1, $2)", organization.id, organization.name
    )


async def organization(tx: CatalogTx, org_id: OrgId) -> Organization:
    """Read an organization."""
    name = await tx.fetchval("select name from auth.organizations where id = $1", org_id)
    return Organization(org_id, name)


async def lock_organization(tx: CatalogTx, org_id: OrgId) -> None:
    """Let changes of one organization's members happen one after another."""
    await tx.execute("select from auth.organizations where id = $1 for update", org_id)


async def insert_membership(tx: CatalogTx, org_id: OrgId, user_id: UserId, name: str, role: Role) -> bool:
    """Add a member; False when the person is one already."""
    added = await tx.fetchval(
        "insert into auth.memberships (org_id, user_id, name, role) values ($1, $2, $3, $4)"
        " on conflict do nothing returning true",
        org_id,
        user_id,
        name,
        role,
    )
    return added is True


async def update_membership(tx: CatalogTx, member: Membership) -> None:
    """Write a member's name, role, access and version."""
    await tx.execute(
        "update auth.memberships set name = $3, role = $4, is_active = $5, version = $6"
        " where org_id = $1 and user_id = $2",
        member.org_id,
        member.user_id,
        member.name,
        member.role,
        member.is_active,
        member.version,
    )


async def member(tx: CatalogTx, org_id: OrgId, user_id: UserId) -> Membership | None:
    """Find a person in an organization."""
    row = await tx.fetchrow(MEMBER + " where m.org_id = $1 and m.user_id = $2", org_id, user_id)
    return member_of(row) if row else None


async def is_member(tx: CatalogTx, org_id: OrgId, email: str) -> bool:
    """Tell whether somebody with this address is in the organization, active or not."""
    return bool(
        await tx.fetchval(
            "select true from auth.memberships m join auth.users u on u.id = m.user_id"
            " where m.org_id = $1 and u.email = $2",
            org_id,
            email,
        )
    )


async def members_after(tx: CatalogTx, org_id: OrgId, after: UserId, limit: int) -> list[Membership]:
    """Read members in the order in which they first signed up anywhere."""
    rows = await tx.fetch(
        MEMBER + " where m.org_id = $1 and m.user_id > $2 order by m.user_id limit $3", org_id, after, limit
    )
    return [member_of(row) for row in rows]


async def last_used_membership(tx: CatalogTx, user_id: UserId) -> Membership | None:
    """Find where the person signed in last, among where they still may."""
    row = await tx.fetchrow(
        MEMBER + " where m.user_id = $1 and m.is_active order by m.signed_in_at desc limit 1", user_id
    )
    return member_of(row) if row else None


async def note_sign_in(tx: CatalogTx, org_id: OrgId, user_id: UserId) -> None:
    """Remember where the person signed in last."""
    await tx.execute(
        "update auth.memberships set signed_in_at = clock_timestamp() where org_id = $1 and user_id = $2",
        org_id,
        user_id,
    )


async def other_active_owners(tx: CatalogTx, org_id: OrgId, user_id: UserId) -> int:
    """Count the owners beside one person, up to one: more makes no difference."""
    return int(
        await tx.fetchval(
            "select count(*) from (select from auth.memberships where org_id = $1 and user_id <> $2"
            " and role = 'owner' and is_active limit 1) one",
            org_id,
            user_id,
        )
    )


def member_of(row: Record) -> Membership:
    """Read a member from a row of MEMBER."""
    return Membership(
        org_id=row["org_id"],
        user_id=row["user_id"],
        name=row["name"],
        email=row["email"],
        role=Role(row["role"]),
        is_active=row["is_active"],
        version=row["version"],
        platform_role=_platform_role(row),
    )


def _platform_role(row: Record) -> PlatformRole | None:
    return PlatformRole(row["platform_role"]) if row["platform_role"] else None
