"""Connections of one service to the catalog, to each shard's primary, and to its replicas."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from dana.platform.database import (
    ACQUIRE_TIMEOUT_SECONDS,
    DRIVER_ERRORS,
    LOST,
    abandon,
    address,
    open_pool,
    outages_are_problems,
)
from dana.platform.errors import Unavailable
from dana.platform.network import open_transactions
from dana.platform.settings import Settings

COMMIT_TIMEOUT_SECONDS = 8.0  # a standby needs milliseconds; one that hangs is replaced after about ten
UNLIMITED_SECONDS = 3600.0  # for the driver, whose timeouts cancel
UNREPLICATED = "canceling wait for synchronous replication"
UNCERTAIN = "The database was lost while it saved this, so it may be saved or not; send it again."


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
        await give_back(pool, connection)


async def give_back(pool: asyncpg.Pool, connection: PoolConnectionProxy) -> None:
    """Give a borrowed connection back; one that can't be used any more is closed instead."""
    with suppress(*DRIVER_ERRORS):
        await pool.release(connection)


@asynccontextmanager
async def finished(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Commit when the block ends well, else roll back; marks the task as holding a transaction."""
    open_transactions.set(open_transactions.get() + 1)
    try:
        with outages_are_problems():
            yield
            await _commit(connection)
    except BaseException as error:
        await abandon(connection, error)
        raise
    finally:
        open_transactions.set(open_transactions.get() - 1)


async def _commit(connection: asyncpg.Connection) -> None:
    """Commit, and raise Unavailable unless it is certain that a synchronous standby has it, too.

    PostgreSQL calls a commit whose wait for the standby was cancelled a success, with a warning, and shows it
    to everybody: a repeat would then hear of a message that may yet be lost. So this never cancels, as the
    driver would; it hangs up, and the commit goes on waiting unseen.
    """
    warnings: list[str] = []

    def listen(_: object, message: object) -> None:
        warnings.append(str(message))

    connection.add_log_listener(listen)
    commit = asyncio.ensure_future(connection.execute("COMMIT", timeout=UNLIMITED_SECONDS))
    try:
        await asyncio.wait([commit], timeout=COMMIT_TIMEOUT_SECONDS)
    finally:
        if not commit.done():
            connection.terminate()
            await asyncio.gather(commit, return_exceptions=True)
        with suppress(asyncpg.InterfaceError):  # it was lost
            connection.remove_log_listener(listen)
    try:
        commit.result()
    except LOST as error:
        raise Unavailable(UNCERTAIN) from error
    if any(UNREPLICATED in warning for warning in warnings):
        raise Unavailable(UNCERTAIN)
