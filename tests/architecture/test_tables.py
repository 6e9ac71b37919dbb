"""Every table of a shard belongs to organizations and can move with them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from dana.platform.database import address
from dana.platform.settings import Settings
from dana.services.placement.store import tables

# Of the shard itself; an organization that moves finds the same there.
OF_THE_SHARD = {
    "dana_migrations.applied",
    "platform.org_placement",  # who lives here
    "platform.subscriptions",  # who consumes what, written by each process on every shard
    "platform.shares",  # how much each organization has had of the lanes here; whoever moves begins anew
}

PARTITIONED = """
create table ai.odd (org_id uuid primary key) partition by list (org_id);
create table ai.odd_rest partition of ai.odd default;
alter table ai.odd_rest replica identity nothing"""


@pytest.fixture
async def shard(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A shard with all migrations."""
    connection = await asyncpg.connect(address(settings.database_url, database="dana_shard1"))
    yield connection
    await connection.close()


async def test_rows_of_every_table_can_follow_their_organization(shard: asyncpg.Connection) -> None:
    found = await tables.tables(shard)
    assert [refusal for table in found if (refusal := table.refusal())] == []
    rows = await shard.fetch(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
        " and not (select relispartition from pg_class"
        "           where oid = format('%I.%I', schemaname, tablename)::regclass)"
    )
    assert {row["name"] for row in rows} == {table.name for table in found} | OF_THE_SHARD


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("create table ai.odd (org_id uuid, id uuid, primary key (id, org_id))", "must begin with org_id"),
        ("create table ai.odd (org_id uuid, id uuid)", "must begin with org_id"),
        ("create unlogged table ai.odd (org_id uuid primary key)", "is unlogged"),
        (
            "create table ai.odd (org_id uuid primary key); alter table ai.odd replica identity full",
            "replica identity",
        ),
        (
            PARTITIONED,
            "replica identity",
        ),
    ],
)
async def test_a_table_whose_rows_could_not_follow_is_found(
    shard: asyncpg.Connection, definition: str, reason: str
) -> None:
    change = shard.transaction()
    await change.start()
    try:
        await shard.execute(definition)
        refusals = [table.refusal() for table in await tables.tables(shard) if table.name == "ai.odd"]
    finally:
        await change.rollback()
    assert len(refusals) == 1
    assert reason in (refusals[0] or "")
