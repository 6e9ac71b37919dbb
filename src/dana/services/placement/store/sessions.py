"""Connections to shards as their administrator, for work that may take hours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from dana.contracts.ids import OrgId
from dana.platform.database import outages_are_problems
from dana.platform.servers import administer

Connection = asyncpg.Connection

END_PATIENCE_MS = 5_000  # how long to wait for the end of another session; it takes a few milliseconds

# Nothing may end a comparison early, it takes no more than one core from those who work there, and what rows
# look like as text does not depend on the server.
_SESSION = """
select set_config('statement_timeout', '0', false), set_config('transaction_timeout', '0', false),
       set_config('idle_in_transaction_session_timeout', '0', false), set_config('lock_timeout', '5s', false),
       set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO, YMD', false),
       set_config('intervalstyle', 'iso_8601', false), set_config('bytea_output', 'hex', false),
       set_config('extra_float_digits', '1', false), set_config('row_security', 'off', false),
       set_config('search_path', 'pg_catalog', false),
       set_config('max_parallel_workers_per_gather', '0', false)"""


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[Connection]:
    """Connect for the length of the block; raises Unavailable."""
    with outages_are_problems():
        async with administer(dsn) as connection:
            await connection.execute(_SESSION)
            yield connection


@asynccontextmanager
async def move_session(dsn: str, org_id: OrgId) -> AsyncIterator[Connection]:
    """Connect in order to move an organization; the session bears its name. Raises Unavailable."""
    async with session(dsn) as connection:
        await connection.execute(f"set application_name = '{_name(org_id)}'")
        yield connection


async def end_other_sessions(connection: Connection, org_id: OrgId, kept: Connection | None) -> None:
    """End what a former driver of the organization's moves may still be doing in this database."""
    await connection.execute(
        "select pg_terminate_backend(pid, $2) from pg_stat_activity"
        " where application_name = $1 and datname = current_database()"
        "   and pid <> pg_backend_pid() and pid <> $3",
        _name(org_id),
        END_PATIENCE_MS,
        kept.get_server_pid() if kept else 0,
    )


def _name(org_id: OrgId) -> str:
    return f"dana move {org_id}"
