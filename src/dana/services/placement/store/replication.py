"""Logical replication of one organization's rows from one shard to another.

source: publication (its rows only), slot ──► target: subscription (copies, then follows)

All three have the move's name. The slot is made by hand, since a subscription that makes its own would wait
for itself when both databases are on one server.
"""

from typing import NamedTuple
from uuid import UUID

import asyncpg

from dana.contracts.ids import OrgId
from dana.services.placement.models.moves import MoveId
from dana.services.placement.store.sessions import Connection
from dana.services.placement.store.tables import Table

SLOT_SECONDS = 60.0  # a slot begins when the transactions that are open have ended
NAME_PREFIX = "dana_move_"

_SLOT = """
select s.active_pid, s.wal_status, s.invalidation_reason,
       coalesce(pg_current_wal_lsn() - s.restart_lsn, 0)::bigint as held_bytes,
       coalesce(pg_current_wal_lsn() - coalesce(r.replay_lsn, s.confirmed_flush_lsn), 0)::bigint as lag_bytes
  from pg_replication_slots s left join pg_stat_replication r on r.pid = s.active_pid
 where s.slot_name = $1"""
_SUBSCRIPTION = """
select s.subenabled as is_enabled,
       exists (select from pg_stat_subscription w where w.subid = s.oid and w.pid is not null) as has_worker,
       array(select format('%I.%I', n.nspname, c.relname)
               from pg_subscription_rel r join pg_class c on c.oid = r.srrelid
               join pg_namespace n on n.oid = c.relnamespace
              where r.srsubid = s.oid and r.srsubstate <> 'r') as unready,
       (select coalesce(sum(e.apply_error_count + e.sync_error_count), 0)::bigint
          from pg_stat_subscription_stats e where e.subid = s.oid) as errors
  from pg_subscription s
 where s.subname = $1 and s.subdbid = (select oid from pg_database where datname = current_database())"""
_CONFLICTS = """
select apply_error_count as errors, sync_error_count as errors_while_copying,
       confl_insert_exists as rows_that_exist, confl_update_missing as rows_missing_for_an_update,
       confl_delete_missing as rows_missing_for_a_delete, confl_update_exists as keys_that_exist,
       confl_update_origin_differs + confl_delete_origin_differs as rows_written_by_others
  from pg_stat_subscription_stats where subname = $1"""
_COPYING = """
select format('%I.%I', n.nspname, c.relname) as name, p.tuples_processed as rows
  from pg_stat_progress_copy p
  join pg_class c on c.oid = p.relid join pg_namespace n on n.oid = c.relnamespace
  join pg_subscription_rel r on r.srrelid = p.relid join pg_subscription s on s.oid = r.srsubid
 where s.subname = $1 and p.datname = current_database() and p.command = 'COPY FROM'"""
_SLOTS_HERE = """
select slot_name::text as name, coalesce(pg_current_wal_lsn() - restart_lsn, 0)::bigint as held_bytes
  from pg_replication_slots
 where slot_name ~ '^dana_move_[0-9a-f]{32}$' and database = current_database()"""
_NAMES_HERE = """
select pubname::text as name from pg_publication where pubname ~ '^dana_move_[0-9a-f]{32}$'
union select subname::text from pg_subscription
 where subname ~ '^dana_move_[0-9a-f]{32}$'
   and subdbid = (select oid from pg_database where datname = current_database())
union select slot_name::text from pg_replication_slots
 where slot_name ~ '^dana_move_[0-9a-f]{32}$' and database = current_database()"""


class Slot(NamedTuple):
    """What the source's server keeps for a move."""

    is_lost: bool
    held_bytes: int
    lag_bytes: int


class Subscription(NamedTuple):
    """How the target follows."""

    is_enabled: bool
    has_worker: bool
    unready: list[str]
    """The tables that are still being copied."""
    errors: int


def name_of(move_id: MoveId) -> str:
    """Name the publication, the slot and the subscription of a move."""
    return f"{NAME_PREFIX}{move_id.hex}"


def move_of(name: str) -> MoveId:
    """Say of which move something with this name is."""
    return MoveId(UUID(name.removeprefix(NAME_PREFIX)))


async def publish(source: Connection, name: str, org_id: OrgId, tables: list[Table]) -> None:
    """Offer an organization's rows of all tables; a partitioned table as one, however it is cut."""
    listed = ", ".join(f"table {table.name} where (org_id = '{org_id}')" for table in tables)
    listed = listed.replace(", table ", ", ")
    await source.execute(f"create publication {name} for {listed} with (publish_via_partition_root = true)")


async def unpublish(source: Connection, name: str) -> None:
    """Offer them no longer."""
    await source.execute(f"drop publication if exists {name}")


async def keep_log(source: Connection, name: str) -> None:
    """Make the slot: from here on the source keeps its log until the target has it."""
    await source.execute(
        "select pg_create_logical_replication_slot($1, 'pgoutput')", name, timeout=SLOT_SECONDS
    )


async def drop_log(source: Connection, name: str) -> bool:
    """Drop the slot; False while somebody still reads from it, who is told to end."""
    try:
        await source.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1", name
        )
    except asyncpg.ObjectInUseError:
        await source.execute(
            "select pg_terminate_backend(active_pid) from pg_replication_slots"
            " where slot_name = $1 and active_pid is not null",
            name,
        )
        return False
    except asyncpg.UndefinedObjectError:
        pass  # dropped between the look and the drop
    return True


async def subscribe(target: Connection, name: str, source_dsn: str) -> None:
    """Copy what the source offers, then follow it.

    Row-level security must not hide rows from the copy: with it off, what is hidden is an error.
    """
    separator = "&" if "?" in source_dsn else "?"
    url = f"{source_dsn}{separator}options=-c%20row_security%3Doff".replace("'", "''")
    await target.execute(
        f"create subscription {name} connection '{url}' publication {name} with (create_slot = false,"
        f" slot_name = '{name}', copy_data = true, binary = true, streaming = parallel,"
        " disable_on_error = true, origin = none)"
    )


async def unsubscribe(target: Connection, name: str) -> None:
    """Follow no longer. The slot stays: dropping it along would fail when it is gone already."""
    if await subscription(target, name) is None:
        return
    await target.execute(f"alter subscription {name} disable")
    await target.execute(f"alter subscription {name} set (slot_name = none)")
    await target.execute(f"drop subscription {name}")


async def subscription(target: Connection, name: str) -> Subscription | None:
    """Look how the target follows; None when it doesn't."""
    row = await target.fetchrow(_SUBSCRIPTION, name)
    return Subscription(**dict(row)) if row else None


async def conflicts(target: Connection, name: str) -> str:
    """Say in words what PostgreSQL has counted of errors; it tells their texts only to its log."""
    row = await target.fetchrow(_CONFLICTS, name)
    found = [f"{kind.replace('_', ' ')}: {times}" for kind, times in (row or {}).items() if times]
    return ", ".join(found) or "no error was counted"


async def slot(source: Connection, name: str) -> Slot | None:
    """Look what the source keeps."""
    row = await source.fetchrow(_SLOT, name)
    if row is None:
        return None
    is_lost = row["wal_status"] == "lost" or row["invalidation_reason"] is not None
    return Slot(is_lost, row["held_bytes"], row["lag_bytes"])


async def rows_being_copied(target: Connection, name: str) -> dict[str, int]:
    """Count what the running copies have brought so far, by table."""
    return {row["name"]: row["rows"] for row in await target.fetch(_COPYING, name)}


async def held_logs(shard: Connection) -> dict[str, int]:
    """Measure what is kept on a shard for moves, by name."""
    return {row["name"]: row["held_bytes"] for row in await shard.fetch(_SLOTS_HERE)}


async def names_on(shard: Connection) -> list[str]:
    """Name all moves of which something is left on a shard."""
    return [row["name"] for row in await shard.fetch(_NAMES_HERE)]
