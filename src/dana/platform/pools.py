"""Connections of one service to the catalog, to each shard's primary, and to its replicas."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import asyncpg

from dana.platform.database import ACQUIRE_TIMEOUT_SECONDS, abandon, address, open_pool, outages_are_problems
from dana.platform.errors import Unavailable
from dana.platform.network import open_transactions
from dana.platform.settings import Settings


@dataclass(frozen=True, slots=True)
class Home:
    """A database: the address of its servers without a login (None: the catalog's servers), and its name."""

    server: str | None
    database: str


class Pools:
    """The pools of one service, opened when first used."""

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings = settings
        self._role = f"dana_{service}"
        self._pools: dict[tuple[Home, str | None], asyncpg.Pool] = {}
        self._opening = asyncio.Lock()

    async def of(self, home: Home, host: str | None = None) -> asyncpg.Pool:
        """Return the pool of a database's primary, or of one of its hosts, whatever that is."""
        key = (home, host)
        pool = self._pools.get(key)
        if pool is None:
            async with self._opening:
                pool = self._pools.get(key)
                if pool is None:
                    pool = self._pools[key] = await open_pool(
                        address(
                            home.server or self._settings.database_url,
                            database=home.database,
                            user=self._role,
                            password=self._settings.secrets.password(self._role),
                            host=host,
                        ),
                        self._settings.pool_size,
                    )
        return pool

    async def close(self) -> None:
        """Close all connections, at once where they don't end by themselves."""
        for pool in self._pools.values():
            try:
                await asyncio.wait_for(pool.close(), timeout=5)
            except TimeoutError:
                pool.terminate()
        self._pools.clear()


@asynccontextmanager
async def connection_of(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """Borrow a connection; raises Unavailable when there is none in time."""
    try:
        with outages_are_problems():
            connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)
    except OSError as error:  # a name that can't be resolved, all hosts refusing at once
        raise Unavailable("The database can't be reached; nothing was saved.") from error
    try:
        yield cast("asyncpg.Connection", connection)
    finally:
        await pool.release(connection)


@asynccontextmanager
async def finished(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Commit when the block ends well, else roll back; marks the task as holding a transaction."""
    open_transactions.set(open_transactions.get() + 1)
    try:
        with outages_are_problems():
            yield
            await connection.execute("COMMIT")
    except BaseException as error:
        await abandon(connection, error)
        raise
    finally:
        open_transactions.set(open_transactions.get() - 1)
