"""What a database server and a shard's database say about themselves, to their administrator."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from dana.contracts.ids import OrgId
from dana.platform.database import each_host
from dana.platform.errors import Unavailable
from dana.platform.primary import connect
from dana.platform.servers import administer
from dana.services.placement.models.shards import Condition, Refusal, Replica, Server
from dana.services.placement.store.sessions import Connection

LOGIN_TIMEOUT_SECONDS = 5.0
LOOK_SECONDS = 6.0  # a server that takes longer is no use at the moment, whatever it would say

_SERVER = """
select c.system_identifier, pg_postmaster_start_time()::text as started,
       current_setting('server_version_num')::int / 10000 as version,
       pg_is_in_recovery() as is_replica,
       (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
       current_setting('wal_level') as wal_level,
       current_setting('max_replication_slots')::int as slots,
       current_setting('max_wal_senders')::int as senders,
       current_setting('max_logical_replication_workers')::int as workers,
       (select pg_encoding_to_char(encoding) from pg_database where datname = 'template1') as encoding,
       array(select name::text from pg_available_extensions order by 1) as extensions
  from pg_control_system() c"""
# Senders of moves aren't replicas: their slots are logical.
_REPLICAS = """
select coalesce(nullif(r.application_name, ''), 'unnamed')
         || coalesce(' at ' || host(r.client_addr), '') as host,
       r.state, r.sync_state in ('sync', 'quorum') as is_synchronous,
       (pg_current_wal_lsn() - r.replay_lsn)::bigint as lag_bytes,
       extract(epoch from r.replay_lag)::double precision as lag_seconds
  from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid
 where s.slot_type is distinct from 'logical' and r.application_name not like 'pg\\_basebackup%'
 order by 1"""
_CONDITION = """
select pg_database_size(current_database()) as size_bytes,
       (select count(*) from dana_migrations.applied)::int as migrations,
       coalesce((select max(b.oldest_seconds) from platform.backlog() b where b.state = 'ready'), 0)
         as oldest_seconds"""


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    """Connect as administrator for a look; raises Unavailable with the reason why that fails."""
    try:
        async with asyncio.timeout(LOOK_SECONDS), administer(dsn) as connection:
            yield connection
    except TimeoutError:
        raise Unavailable(f"no answer within {LOOK_SECONDS:.0f} seconds") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(str(error) or type(error).__name__) from error


async def look(dsn: str) -> Condition:
    """Measure a shard; raises Unavailable with the reason why it can't be measured."""
    async with connected(dsn) as connection:
        began = time.perf_counter()
        await connection.fetchval("select 1")
        latency_ms = (time.perf_counter() - began) * 1000
        row = await connection.fetchrow(_CONDITION)
        replicas = [Replica(**dict(each)) for each in await connection.fetch(_REPLICAS)]
    assert row is not None  # noqa: S101 - a select without a table has one row
    return Condition(latency_ms=latency_ms, replicas=replicas, **dict(row))


async def server(connection: Connection) -> Server:
    """Ask a server about itself."""
    row = await connection.fetchrow(_SERVER)
    assert row is not None  # noqa: S101 - a select without a table has one row
    return Server(**dict(row))


async def migrations_run(shard: Connection) -> int:
    """Count the migrations that a shard has run."""
    return int(await shard.fetchval("select count(*) from dana_migrations.applied"))


async def has_database(connection: Connection, database: str) -> bool:
    """Tell whether a server has a database of this name."""
    return bool(await connection.fetchval("select true from pg_database where datname = $1", database))


async def roles_with_password(connection: Connection, roles: Sequence[str]) -> list[str]:
    """Name those of some roles that can log in by a password already."""
    rows = await connection.fetch(
        "select rolname::text as name from pg_authid where rolname = any ($1) and rolpassword is not null",
        roles,
    )
    return [row["name"] for row in rows]


async def refusal(dsn: str) -> Refusal | None:
    """Tell why a server doesn't let somebody in; None when it does. Raises Unavailable."""
    try:
        connection = await connect(each_host(dsn), timeout=LOGIN_TIMEOUT_SECONDS)
    except asyncpg.InvalidPasswordError:
        return Refusal.PASSWORD
    except asyncpg.InvalidAuthorizationSpecificationError:
        return Refusal.ADDRESS
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(str(error) or type(error).__name__) from error
    await connection.close()
    return None


async def organizations_here(shard: Connection) -> dict[OrgId, int]:
    """Return the epochs of all organizations that work on a shard; none when it has no tables yet."""
    if await shard.fetchval("select to_regclass('platform.org_placement')") is None:
        return {}
    rows = await shard.fetch("select org_id, epoch from platform.org_placement where state <> 'moved'")
    return {row["org_id"]: row["epoch"] for row in rows}


async def subscriptions(shard: Connection) -> list[tuple[str, str, str]]:
    """Read who consumes what."""
    rows = await shard.fetch("select event_type, consumer_group, lane from platform.subscriptions")
    return [(row["event_type"], row["consumer_group"], row["lane"]) for row in rows]


async def subscribe(shard: Connection, rows: Sequence[tuple[str, str, str]]) -> None:
    """Let consumers be due from the first event on."""
    await shard.executemany(
        "insert into platform.subscriptions (event_type, consumer_group, lane) values ($1, $2, $3)"
        " on conflict do nothing",
        rows,
    )
