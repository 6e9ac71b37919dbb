"""How busy each organization is: sampled on the shards, kept in the catalog."""

from collections.abc import Sequence
from datetime import datetime

from dana.contracts.ids import OrgId
from dana.platform.database import CatalogTx
from dana.services.placement.models.loads import Load, Sample
from dana.services.placement.models.rebalancing import OrganizationLoad
from dana.services.placement.store.sessions import Connection

# An organization's share of its shard's bytes is estimated by its share of the events: nothing is counted.
_SAMPLES = """
select c.org_id, c.value as cursor,
       (pg_database_size(current_database()) * c.value
         / greatest(sum(c.value) over (), 1))::bigint as size_bytes
  from platform.org_cursor c
  join platform.org_placement p on p.org_id = c.org_id and p.state = 'active'"""
_KEEP = """
insert into placement.loads as l (org_id, shard, cursor, events_per_hour, size_bytes, sampled_at)
select n.*, $6 from unnest($1::uuid[], $2::text[], $3::bigint[], $4::float8[], $5::bigint[]) as n
    on conflict (org_id) do update
   set shard = excluded.shard, cursor = excluded.cursor, events_per_hour = excluded.events_per_hour,
       size_bytes = excluded.size_bytes, sampled_at = excluded.sampled_at"""
_SUM_UP = """
update platform.shards s
   set events_per_hour = coalesce((select sum(l.events_per_hour) from placement.loads l
                                    join platform.organizations o on o.id = l.org_id
                                   where o.shard = s.name), 0)"""
_FORGET = """
delete from placement.loads l
 where not exists (select from platform.organizations o where o.id = l.org_id)"""
# An organization on its way counts where it is going, and stays out of any plan.
_ORGANIZATIONS = """
select o.id, coalesce(m.target, o.shard) as shard, coalesce(l.events_per_hour, 0) as events_per_hour,
       coalesce(l.size_bytes, 0) as size_bytes,
       m.target is null and not exists (
         select from platform.shards s where s.dedicated_to = o.id) as may_move
  from platform.organizations o
  left join placement.loads l on l.org_id = o.id
  left join placement.moves m on m.org_id = o.id
   and m.state in ('requested', 'prepared', 'copying', 'synced', 'frozen', 'arrived', 'aborting')"""


async def sample(shard: Connection) -> tuple[datetime, list[Sample]]:
    """Read the newest event of every organization that works on a shard, and when that was."""
    rows = await shard.fetch(_SAMPLES)
    at: datetime = await shard.fetchval("select clock_timestamp()")
    return at, [Sample(**dict(row)) for row in rows]


async def loads_of(tx: CatalogTx, org_ids: Sequence[OrgId]) -> dict[OrgId, Load]:
    """Read what is known of some organizations."""
    rows = await tx.fetch(
        "select org_id, cursor, events_per_hour, sampled_at from placement.loads where org_id = any ($1)",
        org_ids,
    )
    return {
        row["org_id"]: Load(
            cursor=row["cursor"], events_per_hour=row["events_per_hour"], sampled_at=row["sampled_at"]
        )
        for row in rows
    }


async def keep(tx: CatalogTx, shard: str, sampled: Sequence[tuple[Sample, Load]]) -> None:
    """Keep what was sampled on one shard."""
    if not sampled:
        return
    await tx.execute(
        _KEEP,
        [sample.org_id for sample, _ in sampled],
        [shard] * len(sampled),
        [load.cursor for _, load in sampled],
        [load.events_per_hour for _, load in sampled],
        [sample.size_bytes for sample, _ in sampled],
        sampled[0][1].sampled_at,
    )


async def sum_up(tx: CatalogTx) -> None:
    """Say of each shard how busy it is, and forget organizations that are gone."""
    await tx.execute(_FORGET)
    await tx.execute(_SUM_UP)


async def organizations(tx: CatalogTx) -> list[OrganizationLoad]:
    """Read all organizations with what they weigh."""
    return [OrganizationLoad(**dict(row)) for row in await tx.fetch(_ORGANIZATIONS)]


async def weight_of(tx: CatalogTx, org_id: OrgId) -> float:
    """Read how many events an hour an organization has; 0 when that isn't known yet."""
    return float(
        await tx.fetchval(
            "select coalesce((select events_per_hour from placement.loads where org_id = $1), 0)", org_id
        )
    )
