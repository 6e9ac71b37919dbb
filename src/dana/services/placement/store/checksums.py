"""Checksums of an organization's rows. PostgreSQL computes them; only sums over buckets of keys travel.

A row's checksum is a 64-bit hash of its text; a bucket's is the exclusive or of its rows', and their number.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from dana.contracts.ids import OrgId
from dana.services.placement.models.comparison import Row
from dana.services.placement.models.moves import Digests
from dana.services.placement.store.sessions import Connection
from dana.services.placement.store.tables import Table

BUCKETS = 4096  # the sums of a table are some 50 kB; a bucket of a hundred million rows has 25,000 keys
ROWS_AT_ONCE = 1_000


async def digests(shard: Connection, table: Table, org_id: OrgId, before: int | None) -> Digests:
    """Sum up an organization's rows, or those that no transaction from `before` on has written."""
    rows = await shard.fetch(
        f"select {_bucket(table)} as bucket, count(*) as rows, bit_xor({_digest(table)}) as digest"
        f"  from {table.name} where org_id = $1 and ($2::bigint is null or {_is_older('$2')}) group by 1",
        org_id,
        before,
    )
    return {row["bucket"]: (row["rows"], row["digest"]) for row in rows}


@asynccontextmanager
async def rows_of(
    shard: Connection, table: Table, org_id: OrgId, buckets: list[int], before: int | None
) -> AsyncIterator[AsyncIterator[Row]]:
    """Stream the checksums of the rows of some buckets, by bucket and key."""
    key = f"row({', '.join(table.key[1:] or table.key)})::text"
    sql = (
        f"select {_bucket(table)} as bucket, {key} as key,"
        f" {_digest(table)} as digest, $3::bigint is null or {_is_older('$3')} as is_older"
        f"  from {table.name} where org_id = $1 and {_bucket(table)} = any ($2)"
        f' order by 1, {key} collate "C"'
    )
    async with AsyncExitStack() as stack:
        if not shard.is_in_transaction():
            await stack.enter_async_context(shard.transaction(readonly=True))
        rows = shard.cursor(sql, org_id, buckets, before, prefetch=ROWS_AT_ONCE)
        yield (Row(*row) async for row in rows)


def _bucket(table: Table) -> str:
    return f"(hashtextextended(row({', '.join(table.key)})::text, 0) & {BUCKETS - 1})::int"


def _digest(table: Table) -> str:
    return f"hashtextextended(row({', '.join(table.columns)})::text, 1)"


def _is_older(transaction: str) -> str:
    """Ask the row itself who wrote it; ages compare rightly when the numbers have wrapped around."""
    return f"age(xmin) > age(({transaction}::bigint % 4294967296)::text::xid)"
