"""What the shards have yet to hear, and what they have heard."""

from dana.contracts.ids import OrgId, UserId
from dana.platform.database import CatalogTx, Tx
from dana.services.auth.models import Membership, Organization
from dana.services.auth.store.people import MEMBER, member_of


async def unannounced_organizations(tx: CatalogTx, limit: int) -> list[OrgId]:
    """Find organizations of which something is unannounced."""
    rows = await tx.fetch(
        "select id from auth.organizations where announced_at is null"
        " union select org_id from auth.memberships where announced_version < version limit $1",
        limit,
    )
    return [row["id"] for row in rows]


async def unannounced_organization(tx: CatalogTx, org_id: OrgId) -> Organization | None:
    """Return the organization itself if its creation is unannounced."""
    row = await tx.fetchrow(
        "select id, name from auth.organizations where id = $1 and announced_at is null", org_id
    )
    return Organization(row["id"], row["name"]) if row else None


async def unannounced_members(tx: CatalogTx, org_id: OrgId, limit: int) -> list[Membership]:
    """Return members as they are now, where the shard has not heard of it."""
    rows = await tx.fetch(
        MEMBER + " where m.org_id = $1 and m.announced_version < m.version order by m.user_id limit $2",
        org_id,
        limit,
    )
    return [member_of(row) for row in rows]


async def confirm_organization(tx: CatalogTx, org_id: OrgId) -> None:
    """Note that the shard has heard of the organization."""
    await tx.execute(
        "update auth.organizations set announced_at = now() where id = $1 and announced_at is null", org_id
    )


async def confirm_members(tx: CatalogTx, org_id: OrgId, members: list[Membership]) -> None:
    """Note that the shard has heard of these versions of the members."""
    await tx.execute(
        "update auth.memberships m set announced_version = greatest(m.announced_version, heard.version)"
        " from unnest($2::uuid[], $3::int[]) as heard (user_id, version)"
        " where m.org_id = $1 and m.user_id = heard.user_id",
        org_id,
        [member.user_id for member in members],
        [member.version for member in members],
    )


async def note(tx: Tx, what: OrgId | UserId, version: int) -> tuple[bool, bool]:
    """Note a version on the shard; returns whether it is news, and whether it is the first ever."""
    row = await tx.fetchrow(
        "insert into auth.announcements as a (id, version) values ($1, $2)"
        " on conflict (org_id, id) do update set version = excluded.version"
        " where a.version < excluded.version returning xmax = 0 as is_first",
        what,
        version,
    )
    return (True, row["is_first"]) if row else (False, False)
