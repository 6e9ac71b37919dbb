"""Rows of one organization, out of a shard and into another, as lines of JSON."""

from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg

from dana.contracts.ids import OrgId
from dana.platform.database import CatalogTx
from dana.services.placement.store import checksums
from dana.services.placement.store.sessions import Connection
from dana.services.placement.store.tables import Table

SEALED = "sealed_"
"""Columns with this beginning can be opened with the root key of their installation only."""

_COLUMNS = """
select array_agg(quote_ident(a.attname) order by a.attname) from pg_attribute a
 where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''"""
_STATE = "select state, epoch from platform.org_placement where org_id = $1"
_EXPECT = """
insert into platform.org_placement as p (org_id, epoch, state) values ($1, $2, 'importing')
    on conflict (org_id) do update set epoch = excluded.epoch, state = 'importing'"""

# What an export has of the catalog, and nothing else is taken from one: not a role on the platform, for one.
_CATALOG = {
    "organization": ("auth.organizations", "id, name, announced_at, created_at", "id = $1"),
    "users": (
        "auth.users",
        "id, email, password_hash, created_at",
        "id in (select user_id from auth.memberships where org_id = $1)",
    ),
    "memberships": (
        "auth.memberships",
        "org_id, user_id, name, role, is_active, version, announced_version, signed_in_at, joined_at",
        "org_id = $1",
    ),
    "invitations": (
        "auth.invitations",
        "id, org_id, email, role, seed, invited_by, expires_at, created_at",
        "org_id = $1 and accepted_at is null",
    ),
    "channel_routes": ("platform.channel_routes", "public_key, org_id, inbox_id", "org_id = $1"),
}

CATALOG_TABLES = frozenset(table for table, _, _ in _CATALOG.values())


async def catalog_rows(catalog: Connection, org_id: OrgId) -> dict[str, list[str]]:
    """Return the catalog's rows of an organization as JSON, by what they are."""
    found = {}
    for what, (table, columns, condition) in _CATALOG.items():
        sql = f"select row_to_json(t)::text as line from (select {columns} from {table} where {condition}) t"
        found[what] = [row["line"] for row in await catalog.fetch(sql, org_id)]
    return found


async def begin_snapshot(shard: Connection, org_id: OrgId, epoch: int) -> bool:
    """Begin to see a shard as it is now; False when the organization doesn't work there at this epoch."""
    await shard.execute("begin isolation level repeatable read, read only")
    row = await shard.fetchrow(_STATE, org_id)
    return row is not None and (row["state"], row["epoch"]) == ("active", epoch)


async def exported_columns(shard: Connection, table: Table) -> list[str]:
    """Name a table's columns, quoted as SQL needs them, without those that compute themselves."""
    columns: list[str] = await shard.fetchval(_COLUMNS, table.name)
    return columns


async def copy_out(
    shard: Connection,
    table: Table,
    columns: list[str],
    org_id: OrgId,
    write: Callable[[bytes], Coroutine[Any, Any, None]],
) -> None:
    """Stream an organization's rows of a table, one JSON object a line, in the order of their keys.

    A line break inside of JSON can only be white space. The quote never stands in JSON, so nothing is quoted.
    """
    one = f"select {', '.join(columns)} from {table.name} where org_id = '{org_id}'"
    await shard.copy_from_query(
        f"select translate(row_to_json(t)::text, e'\\n\\r', '  ') from ({one}"
        f" order by {', '.join(table.key)}) t",
        output=write,
        format="csv",
        delimiter="\x02",
        quote="\x01",
    )


async def digest_of(shard: Connection, table: Table, columns: list[str], org_id: OrgId) -> tuple[int, int]:
    """Count an organization's rows of a table, and sum up their checksums."""
    digest = rows = 0
    for count, part in (
        await checksums.digests(shard, table._replace(columns=columns), org_id, None)
    ).values():
        digest ^= part
        rows += count
    return rows, digest


async def insert_lines(
    shard: Connection, table: Table, columns: list[str], org_id: OrgId, lines: list[str]
) -> int:
    """Write exported rows of an organization, and none of another; returns how many were its own.

    Triggers and foreign keys don't look: they did when the rows were made.
    """
    async with shard.transaction():
        await shard.execute("set local session_replication_role = replica")
        return _count(
            await shard.execute(
                f"insert into {table.name} ({', '.join(columns)})"
                f" select {', '.join(f'r.{column}' for column in columns)}"
                f" from unnest($1::text[]) as l (line),"
                f" json_populate_record(null::{table.name}, l.line::json) as r where r.org_id = $2",
                lines,
                org_id,
            )
        )


async def placement_on(shard: Connection, org_id: OrgId) -> int:
    """Return the newest epoch at which a shard has had an organization; 0 for never."""
    row = await shard.fetchrow(_STATE, org_id)
    return int(row["epoch"]) if row else 0


async def expect(shard: Connection, org_id: OrgId, epoch: int) -> None:
    """Let an organization's rows be written to a shard while it is closed there."""
    await shard.execute(_EXPECT, org_id, epoch)


async def retire(shard: Connection, org_id: OrgId) -> None:
    """Close what is left of an organization on a shard that isn't its home."""
    await shard.execute("update platform.org_placement set state = 'moved' where org_id = $1", org_id)


async def open_here(shard: Connection, org_id: OrgId, epoch: int) -> None:
    """Let an organization work here, once the catalog sends anybody."""
    await shard.execute(
        "update platform.org_placement set state = 'active' where org_id = $1 and epoch = $2", org_id, epoch
    )


async def is_known(catalog: Connection, org_id: OrgId) -> bool:
    """Tell whether the catalog has an organization."""
    return bool(await catalog.fetchval("select true from platform.organizations where id = $1", org_id))


async def lock_import(catalog: Connection, org_id: OrgId) -> bool:
    """Keep others from importing the same organization until the connection ends; False when one does."""
    return bool(
        await catalog.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", f"import {org_id}")
    )


async def people_here(catalog: Connection, users: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Find which of some people are known here, by id or by e-mail address."""
    rows = await catalog.fetch(
        "select id::text, email from auth.users where id = any ($1::uuid[]) or email = any ($2::text[])",
        [user["id"] for user in users],
        [user["email"] for user in users],
    )
    return [(row["id"], row["email"]) for row in rows]


async def foreign_keys_of_channels(catalog: Connection, keys: list[str]) -> list[str]:
    """Name those public keys that lead to somebody already."""
    rows = await catalog.fetch(
        "select public_key from platform.channel_routes where public_key = any ($1::text[])", keys
    )
    return [row["public_key"] for row in rows]


async def enter_catalog(
    catalog: Connection, org_id: OrgId, shard: str, epoch: int, rows: dict[str, list[str]]
) -> None:
    """Make an organization known with all its people, at once; who is known already stays as they are."""
    async with catalog.transaction():
        await catalog.execute(
            "insert into platform.organizations (id, shard, epoch) values ($1, $2, $3)", org_id, shard, epoch
        )
        await catalog.execute(
            "update platform.shards set organizations = organizations + 1 where name = $1", shard
        )
        for what, (table, columns, _) in _CATALOG.items():
            whose = {"organization": "r.id = $2", "users": "$2::uuid is not null"}.get(what, "r.org_id = $2")
            await catalog.execute(
                f"insert into {table} ({columns}) select {columns} from unnest($1::text[]) as l (line),"
                f" json_populate_record(null::{table}, l.line::json) as r where {whose}"
                + (" on conflict do nothing" if what == "users" else ""),
                rows[what],
                org_id,
            )


async def least_loaded(tx: CatalogTx) -> str | None:
    """Name the shard on which a new organization would be placed; None when none is open."""
    name: str | None = await tx.fetchval(
        "select name from platform.shards where is_open and dedicated_to is null"
        " order by events_per_hour + organizations, name limit 1"
    )
    return name


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


MISFITS = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.InvalidTextRepresentationError,
)
"""What PostgreSQL says of rows that don't fit its tables."""
