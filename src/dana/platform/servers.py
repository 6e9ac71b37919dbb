"""The servers as their administrator reaches them: for migrations, moves, backups and the command line.

The catalog's server is DANA_DATABASE_URL; a shard added on another server has its administrator's address in
the catalog, sealed with the installation's root key.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from dana.platform.database import CONNECT_TIMEOUT_SECONDS, address, each_host, hosts
from dana.platform.errors import Missing
from dana.platform.primary import connect
from dana.platform.settings import Settings

CATALOG = "dana_catalog"
SEALED_FOR = "shard login"

_SHARDS = """
select s.name, s.database, l.sealed_url
  from platform.shards s left join platform.shard_logins l on l.shard = s.name order by s.name"""


async def shard_addresses(settings: Settings) -> dict[str, str]:
    """Return the administrator's address of each shard's database by the shard's name."""
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        rows = await catalog.fetch(_SHARDS)
    return {row["name"]: _address(settings, row) for row in rows}


async def shard_address(settings: Settings, shard: str) -> str:
    """Return the administrator's address of one shard's database; raises Missing."""
    found = (await shard_addresses(settings)).get(shard)
    if found is None:
        raise Missing(f"There is no shard named {shard}.")
    return found


async def server_addresses(settings: Settings) -> dict[str, str]:
    """Return the administrator's address of each server, once, by a name.

    The catalog's server is named `catalog`, any other by the first shard that lives there; the address leads
    to the database `postgres`.
    """
    servers = {"catalog": address(settings.database_url, database="postgres")}
    known = {_identity(settings.database_url)}
    for name, url in (await shard_addresses(settings)).items():
        if _identity(url) not in known:
            known.add(_identity(url))
            servers[name] = address(url, database="postgres")
    return servers


@asynccontextmanager
async def administer(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect to the primary as an administrator for the length of the block."""
    connection = await connect(each_host(dsn), timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        yield connection
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_SECONDS)


def seal_login(settings: Settings, url: str) -> bytes:
    """Encrypt the administrator's address of a shard's server for the catalog."""
    return settings.secrets.seal(SEALED_FOR, url)


def _address(settings: Settings, row: asyncpg.Record) -> str:
    sealed = row["sealed_url"]
    server = settings.secrets.open(SEALED_FOR, sealed) if sealed else settings.database_url
    return address(server, database=row["database"])


def _identity(url: str) -> frozenset[str]:
    return frozenset(hosts(url))
