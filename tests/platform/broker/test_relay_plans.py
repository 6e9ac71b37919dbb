"""What the relay asks of PostgreSQL costs the same beside an empty table and beside a long backlog."""

import re

import asyncpg
import pytest

from dana.contracts.ids import OrgId
from dana.platform.servers import administer, shard_address
from dana.platform.settings import Settings
from dana.platform.shards import Shards

MANY = 20_000
BATCH = 50
PAGES = BATCH * 40  # a few steps of an index for each event, and planning

BACKLOG = """
insert into platform.org_placement select gen_random_uuid(), 1, 'active' from generate_series(1, 100);
insert into platform.event_log (org_id, cursor, id, type, version, aggregate_type, aggregate_id, payload,
    actor, created_at)
  select o.org_id, n, gen_random_uuid(), 'member_changed', 1, 'member', gen_random_uuid(), '{}', '{}', now()
    from platform.org_placement o, generate_series(100001, 100000 + $1 / 100) n where o.state = 'active';
insert into platform.deliveries (org_id, cursor, consumer_group, lane, key, event_created_at)
  select l.org_id, l.cursor, g, 'live', l.aggregate_id, l.created_at
    from platform.event_log l, unnest('{relay,ai,conversations}'::text[]) g where l.cursor > 100000"""


@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_a_batch_is_found_and_deleted_by_steps_of_an_index(
    settings: Settings, org: OrgId, *, is_analyzed: bool
) -> None:
    shards = Shards(settings, "auth")
    shard = (await shards.route(org)).shard
    await shards.close()
    async with administer(await shard_address(settings, shard)) as admin:
        transaction = admin.transaction()
        await transaction.start()  # and never committed: nobody else sees any of this
        for statement in BACKLOG.split(";"):
            await admin.execute(statement.replace("$1", str(MANY)))
        if is_analyzed:
            await admin.execute("analyze platform.deliveries, platform.event_log, platform.org_placement")
        found = await pages(admin, f"select * from platform.relay_batch({BATCH})")  # noqa: S608 - a constant
        rows = await admin.fetch("select org_id, cursor from platform.relay_batch($1)", BATCH)
        assert len(rows) == BATCH
        orgs = ",".join(f"'{row['org_id']}'::uuid" for row in rows)
        cursors = ",".join(str(row["cursor"]) for row in rows)
        relayed = f"select platform.relayed(array[{orgs}], array[{cursors}]::bigint[])"
        deleted = await pages(admin, relayed)
        await transaction.rollback()
    assert (found < PAGES, deleted < PAGES) == (True, True), (found, deleted)


async def pages(admin: asyncpg.Connection, statement: str) -> int:
    """How many pages a statement touched."""
    lines = await admin.fetch(f"explain (analyze, buffers) {statement}")
    hit = re.search(r"Buffers: shared hit=(\d+)(?: read=(\d+))?", "\n".join(line[0] for line in lines))
    assert hit is not None
    return int(hit[1]) + int(hit[2] or 0)
