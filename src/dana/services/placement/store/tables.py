"""The tables of an organization on a shard, found in PostgreSQL's own catalog, so that none is forgotten."""

from datetime import timedelta
from typing import NamedTuple

import asyncpg

from dana.contracts.ids import OrgId
from dana.services.placement.store.sessions import Connection

ROWS_AT_ONCE = 2_000  # removed in one transaction: some 20 ms, so that nobody waits long behind it
PARTITION_LOCK_TIMEOUT = timedelta(milliseconds=50)  # a new partition must not stop all who write events

# Where an organization lives is said by each side for itself; everything else with its id travels.
_TABLES = """
select format('%I.%I', n.nspname, c.relname) as name,
       c.relpersistence = 'p' as is_logged,
       coalesce((select array_agg(quote_ident(a.attname) order by k.place)
                   from pg_index i, unnest(i.indkey) with ordinality as k (number, place), pg_attribute a
                  where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts
                    and a.attrelid = c.oid and a.attnum = k.number), '{}') as key,
       (select array_agg(quote_ident(a.attname) order by a.attname) from pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       not exists (select from pg_class r
                    where r.relreplident <> 'd' and r.relkind = 'r'
                      and (r.oid = c.oid or r.oid in (select p.relid from pg_partition_tree(c.oid) p))
                  ) as is_identified_by_key
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute o on o.attrelid = c.oid and o.attname = 'org_id' and not o.attisdropped
 where c.relkind in ('r', 'p') and not c.relispartition
   and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
   and c.oid <> 'platform.org_placement'::regclass
 order by c.relpages, 1"""
# The cursor first: without it, no restore from a backup takes a copy that is being removed for a whole one.
_LEAVES = """
select format('%I.%I', n.nspname, c.relname) as name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute o on o.attrelid = c.oid and o.attname = 'org_id' and not o.attisdropped
 where c.relkind = 'r' and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
   and c.oid not in ('platform.org_placement'::regclass, 'platform.move_markers'::regclass)
 order by c.oid <> 'platform.org_cursor'::regclass, 1"""
_PARTITIONS = """
select c.relname::text as name, pg_get_expr(c.relpartbound, c.oid) as bound
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = 'platform.event_log'::regclass order by 1"""
_APPLIED = "select owner, number, sha256 from dana_migrations.applied order by owner, number"


class Table(NamedTuple):
    """A table with rows of organizations; all names are quoted as SQL needs them."""

    name: str
    key: list[str]
    columns: list[str]
    is_logged: bool
    is_identified_by_key: bool

    def refusal(self) -> str | None:
        """Say why rows of it can't move; None when they can."""
        if self.key[:1] != ["org_id"]:
            return f"The primary key of {self.name} must begin with org_id."
        if not self.is_identified_by_key:
            return f"The replica identity of {self.name}, and of its partitions, must be the primary key."
        return None if self.is_logged else f"{self.name} is unlogged, so it can't be replicated."


async def tables(shard: Connection) -> list[Table]:
    """Find all tables with rows of organizations, the smallest first."""
    return [Table(**dict(row)) for row in await shard.fetch(_TABLES)]


async def schema(shard: Connection) -> list[tuple[str, int, str]]:
    """List the migrations that a shard has run."""
    return [(row["owner"], row["number"], row["sha256"]) for row in await shard.fetch(_APPLIED)]


async def expected_rows(shard: Connection, table: Table, org_id: OrgId) -> int:
    """Ask the planner how many rows of an organization a table has; counting them could take minutes."""
    plan = await shard.fetch(f"explain select from {table.name} where org_id = '{org_id}'")
    return int(plan[0]["QUERY PLAN"].partition(" rows=")[2].partition(" ")[0])


async def remove_some_rows(shard: Connection, org_id: OrgId, leaf: str) -> int:
    """Delete some rows of an organization from a table or a partition; returns how many.

    Without triggers and foreign keys: all of them go, in whatever order.
    """
    async with shard.transaction():
        await shard.execute("set local session_replication_role = replica")
        removed = await shard.execute(
            f"delete from only {leaf} where ctid = any (array("
            f"select ctid from only {leaf} where org_id = $1 limit {ROWS_AT_ONCE}))",
            org_id,
        )
    return int(removed.rpartition(" ")[2])


async def leaves(shard: Connection) -> list[str]:
    """Name what rows of organizations really lie in: tables, and partitions instead of the partitioned."""
    return [row["name"] for row in await shard.fetch(_LEAVES)]


async def log_partitions(shard: Connection) -> dict[str, str]:
    """Return the bounds of the event log's partitions by their names."""
    return {row["name"]: row["bound"] for row in await shard.fetch(_PARTITIONS)}


async def add_log_partition(shard: Connection, name: str, bound: str) -> bool:
    """Add a partition to the event log; False when that isn't possible now, or no longer.

    It isn't when the default partition has rows that belong there: then theirs stay beside them.
    """
    milliseconds = PARTITION_LOCK_TIMEOUT // timedelta(milliseconds=1)
    try:
        async with shard.transaction():
            await shard.execute(f"set local lock_timeout = {milliseconds}")
            await shard.execute(f"create table platform.{name} partition of platform.event_log {bound}")
            await shard.execute("select platform.protect_log($1)", name)
    except (asyncpg.LockNotAvailableError, asyncpg.CheckViolationError, asyncpg.DuplicateTableError):
        return False
    return True
