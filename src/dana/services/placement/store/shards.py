"""Shards as the catalog knows them: for placement's own role, and for the administrator where it says so."""

from collections.abc import Sequence

from dana.contracts.ids import OrgId
from dana.platform.database import CatalogTx
from dana.services.placement.models.shards import OrganizationName, Shard
from dana.services.placement.store.sessions import Connection

NAMED_ALIKE = 10  # enough to show that a name says too little

_SHARD = """
select s.name, s.database, s.address, s.organizations, s.is_open, s.dedicated_to, s.events_per_hour,
       (select count(*) from placement.moves m
         where m.source = s.name and m.state in ('verified', 'unproven')) as copies
  from platform.shards s"""
_REMOVABLE = """
select (select count(*) from platform.organizations where shard = $1) as organizations,
       (select count(*) from placement.moves where $1 in (source, target)
           and state not in ('verified', 'unproven', 'purged', 'aborted')) as moves,
       (select count(*) from placement.moves
         where source = $1 and state in ('verified', 'unproven')) as copies,
       (select count(*) from platform.shards where name <> $1) as others"""
_REGISTER = """
insert into platform.shards as s (name, database, address, dedicated_to) values ($1, $2, $3, $4)
    on conflict (name) do update
   set address = excluded.address, dedicated_to = coalesce(excluded.dedicated_to, s.dedicated_to)"""


async def shards(tx: CatalogTx) -> list[Shard]:
    """List all shards by name."""
    return [Shard(**dict(row)) for row in await tx.fetch(f"{_SHARD} order by s.name")]


async def shard(tx: CatalogTx, name: str) -> Shard | None:
    """Read one shard."""
    row = await tx.fetchrow(f"{_SHARD} where s.name = $1", name)
    return Shard(**dict(row)) if row else None


async def keep_places(tx: CatalogTx) -> None:
    """Let no organization be placed until the end of the transaction."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('place', 0))")


async def set_open(tx: CatalogTx, name: str, *, is_open: bool) -> bool:
    """Open or close a shard for new organizations; False when there is none of this name."""
    return (
        await tx.execute("update platform.shards set is_open = $2 where name = $1", name, is_open)
        == "UPDATE 1"
    )


async def reserve(tx: CatalogTx, name: str, org_id: OrgId | None) -> None:
    """Let one organization only live on a shard; with None let any."""
    await tx.execute("update platform.shards set dedicated_to = $2 where name = $1", name, org_id)


async def give_back(tx: CatalogTx, org_id: OrgId) -> list[str]:
    """End every reservation of an organization; returns the shards' names."""
    rows = await tx.fetch(
        "update platform.shards set dedicated_to = null where dedicated_to = $1 returning name", org_id
    )
    return [row["name"] for row in rows]


async def others_on(tx: CatalogTx, name: str, org_id: OrgId) -> int:
    """Count the organizations that live on a shard or are on their way there, without one."""
    return int(
        await tx.fetchval(
            "select (select count(*) from platform.organizations where shard = $1 and id <> $2)"
            " + (select count(*) from placement.moves where target = $1 and org_id <> $2"
            " and state not in ('verified', 'unproven', 'purged', 'aborted'))",
            name,
            org_id,
        )
    )


async def next_organization_on(tx: CatalogTx, name: str, left_out: Sequence[OrgId]) -> OrgId | None:
    """Find an organization that lives on a shard, the oldest first; None when there is no other."""
    found: OrgId | None = await tx.fetchval(
        "select id from platform.organizations where shard = $1 and id <> all ($2::uuid[])"
        " order by id limit 1",
        name,
        list(left_out),
    )
    return found


async def names_of(catalog: Connection, text: str, org_id: OrgId | None) -> list[OrganizationName]:
    """Find organizations by id, or by name whatever its case; for the administrator."""
    rows = await catalog.fetch(
        "select p.id, coalesce(o.name, '') as name, p.shard from platform.organizations p"
        " left join auth.organizations o on o.id = p.id"
        " where p.id = $2 or ($2::uuid is null and lower(o.name) = lower($1)) order by p.id limit $3",
        text,
        org_id,
        NAMED_ALIKE,
    )
    return [OrganizationName(**dict(row)) for row in rows]


async def listed_names(catalog: Connection, org_ids: Sequence[OrgId]) -> dict[OrgId, str]:
    """Read the names of organizations; for the administrator."""
    rows = await catalog.fetch("select id, name from auth.organizations where id = any ($1)", org_ids)
    return {row["id"]: row["name"] for row in rows}


async def register(catalog: Connection, new: Shard, sealed_login: bytes | None) -> None:
    """Let a shard that is ready be used; or change the address of one that is."""
    async with catalog.transaction():
        await catalog.execute(_REGISTER, new.name, new.database, new.address, new.dedicated_to)
        await catalog.execute("delete from platform.shard_logins where shard = $1", new.name)
        if sealed_login is not None:
            await catalog.execute(
                "insert into platform.shard_logins (shard, sealed_url) values ($1, $2)",
                new.name,
                sealed_login,
            )


async def remove(catalog: Connection, name: str) -> dict[str, int]:
    """Forget an empty shard; returns what still keeps it when it isn't empty: counts by what they count."""
    async with catalog.transaction():
        await catalog.execute("select pg_advisory_xact_lock(hashtextextended('place', 0))")
        await catalog.execute("select from platform.shards where name = $1 for update", name)
        row = await catalog.fetchrow(_REMOVABLE, name)
        kept = dict(row) if row else {}
        if kept["organizations"] == kept["moves"] == kept["copies"] == 0 < kept["others"]:
            await catalog.execute("delete from platform.shards where name = $1", name)
    return kept


async def organizations_expected(catalog: Connection, name: str) -> dict[OrgId, int]:
    """Return the epochs of all organizations that the catalog sends to a shard."""
    rows = await catalog.fetch("select id, epoch from platform.organizations where shard = $1", name)
    return {row["id"]: row["epoch"] for row in rows}
