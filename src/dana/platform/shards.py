"""Shards: every organization lives on one of several databases, and every transaction goes there.

org_id ──► route (cached: shard, epoch) ──► pool of that shard ──► begin_org(org, epoch)
                ▲                                                        │
                └────── ask the catalog again, once ◄── OM001: moved ────┘
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import asyncpg

from dana.contracts.ids import InboxId, OrgId
from dana.platform.database import (
    ACQUIRE_TIMEOUT_SECONDS,
    STALE_ROUTE,
    CatalogTx,
    Tx,
    abandon,
    address,
    open_pool,
    outages_are_problems,
)
from dana.platform.errors import Missing, Unavailable
from dana.platform.identity import SYSTEM, Actor
from dana.platform.network import open_transactions
from dana.platform.outbox import EMIT, Outbox
from dana.platform.settings import Settings

CATALOG = "dana_catalog"
CACHED_ROUTES = 100_000


@dataclass(frozen=True, slots=True)
class Route:
    """Where an organization lives."""

    shard: str
    epoch: int


Committed = Callable[[OrgId, int, Outbox], None]
"""Called after a commit with the organization, the cursor of the first event, and the events."""


class Pools:
    """The pools of one service, opened when first used."""

    def __init__(self, settings: Settings, service: str) -> None:
        self._settings = settings
        self._role = f"dana_{service}"
        self._pools: dict[str, asyncpg.Pool] = {}
        self._opening = asyncio.Lock()

    async def of(self, database: str) -> asyncpg.Pool:
        """Return the pool of a database of the catalog's server."""
        pool = self._pools.get(database)
        if pool is None:
            async with self._opening:
                pool = self._pools.get(database)
                if pool is None:
                    pool = self._pools[database] = await open_pool(
                        address(
                            self._settings.database_url,
                            database=database,
                            user=self._role,
                            password=self._settings.secrets.password(self._role),
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


class Catalog:
    """The one database that knows all organizations: users, sign-in, and who lives where."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._channels: dict[str, tuple[OrgId, InboxId]] = {}

    @asynccontextmanager
    async def tx(self) -> AsyncIterator[CatalogTx]:
        """Open a read-write transaction; it commits when the block ends without an exception."""
        async with _connection(await self._pools.of(CATALOG)) as connection:
            with outages_are_problems():
                await connection.execute("BEGIN")
            async with _finished(connection):
                yield CatalogTx(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[CatalogTx]:
        """Open a read-only transaction."""
        async with _connection(await self._pools.of(CATALOG)) as connection:
            with outages_are_problems():
                await connection.execute("BEGIN READ ONLY")
            async with _finished(connection):
                yield CatalogTx(connection)

    async def pool(self) -> asyncpg.Pool:
        """Return this service's connections to the catalog; for the platform, not for services."""
        return await self._pools.of(CATALOG)

    async def locate(self, org_id: OrgId) -> Route:
        """Look up where an organization lives; raises Missing."""
        async with self.read() as tx:
            row = await tx.fetchrow("select shard, epoch from platform.organizations where id = $1", org_id)
        if row is None:
            raise Missing("There is no such organization.")
        return Route(row["shard"], row["epoch"])

    async def shards(self) -> dict[str, str]:
        """Return the database of each shard by the shard's name."""
        async with self.read() as tx:
            rows = await tx.fetch("select name, database from platform.shards order by name")
        return {row["name"]: row["database"] for row in rows}

    async def publish_route(self, public_key: str, org_id: OrgId, inbox_id: InboxId) -> None:
        """Let a channel's public key lead to its organization."""
        async with self.tx() as tx:
            await tx.execute("select platform.publish_route($1, $2, $3)", public_key, org_id, inbox_id)

    async def route(self, public_key: str) -> tuple[OrgId, InboxId]:
        """Find whose channel a public key is; raises Missing. Keys never change hands, so it is cached."""
        found = self._channels.get(public_key)
        if found is None:
            async with self.read() as tx:
                row = await tx.fetchrow(
                    "select org_id, inbox_id from platform.channel_routes where public_key = $1", public_key
                )
            if row is None:
                raise Missing("There is no inbox with this key; copy the snippet again.")
            found = (OrgId(row["org_id"]), InboxId(row["inbox_id"]))
            if len(self._channels) >= CACHED_ROUTES:
                self._channels.clear()
            self._channels[public_key] = found
        return found


class Shards:
    """Routes each organization's transactions to its shard, as one service's role."""

    def __init__(self, settings: Settings, service: str) -> None:
        self._pools = Pools(settings, service)
        self._routes: dict[OrgId, Route] = {}
        self._databases: dict[str, str] = {}
        self.catalog = Catalog(self._pools)
        self.on_commit: list[Committed] = []

    @asynccontextmanager
    async def tx(self, org_id: OrgId, actor: Actor) -> AsyncIterator[Tx]:
        """Open a read-write transaction; at its end the events and the state commit together.

        Raises Unavailable when the shard is down (nothing was saved), Missing for an unknown organization.
        """
        async with self._begun(org_id, actor, "BEGIN") as (tx, connection):
            first_cursor = 0
            async with _finished(connection):
                yield tx
                if tx.outbox:
                    newest = await connection.fetchval(EMIT, *tx.outbox.arguments(actor))
                    first_cursor = newest - len(tx.outbox.events) + 1
        if tx.outbox:
            for listener in self.on_commit:
                listener(org_id, first_cursor, tx.outbox)

    @asynccontextmanager
    async def read(self, org_id: OrgId) -> AsyncIterator[Tx]:
        """Open a read-only transaction with one snapshot for all its statements."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        async with self._begun(org_id, SYSTEM, begin) as (tx, connection), _finished(connection):
            yield tx

    async def cursor(self, tx: Tx) -> int:
        """Return the organization's cursor: all events up to it are part of what this transaction sees."""
        return int(await tx.fetchval("select value from platform.org_cursor where org_id = $1", tx.org_id))

    async def place(self, org_id: OrgId) -> None:
        """Give a new organization its place; saying it twice changes nothing."""
        async with self.catalog.tx() as tx:
            row = await tx.fetchrow("select shard, epoch from platform.place_organization($1)", org_id)
        if row is None:
            raise Unavailable("No shard is open for new organizations.")
        async with _connection(await self.pool(row["shard"])) as connection:
            with outages_are_problems():
                await connection.execute("select platform.adopt_organization($1, $2)", org_id, row["epoch"])
        self._routes[org_id] = Route(row["shard"], row["epoch"])

    async def names(self) -> list[str]:
        """Name all shards."""
        if not self._databases:
            self._databases = await self.catalog.shards()
        return list(self._databases)

    async def pool(self, shard: str) -> asyncpg.Pool:
        """Return the connections to a shard, for `security definer` functions that span organizations."""
        if shard not in self._databases:
            self._databases = await self.catalog.shards()
        return await self._pools.of(self._databases[shard])

    async def route(self, org_id: OrgId) -> Route:
        """Return where an organization lives; raises Missing."""
        route = self._routes.get(org_id)
        if route is None:
            route = await self.catalog.locate(org_id)
            if len(self._routes) >= CACHED_ROUTES:
                self._routes.clear()
            self._routes[org_id] = route
        return route

    async def close(self) -> None:
        """Close all connections."""
        await self._pools.close()

    @asynccontextmanager
    async def _begun(
        self, org_id: OrgId, actor: Actor, begin: str
    ) -> AsyncIterator[tuple[Tx, asyncpg.Connection]]:
        route = await self.route(org_id)
        for attempt in (1, 2):
            async with _connection(await self.pool(route.shard)) as connection:
                try:
                    with outages_are_problems():
                        await connection.execute(
                            f"{begin}; select platform.begin_org('{org_id}', {route.epoch:d})"
                        )
                except asyncpg.PostgresError as error:
                    await abandon(connection)
                    if error.sqlstate != STALE_ROUTE:
                        raise
                    if attempt == 2:  # noqa: PLR2004 - the second and last try
                        raise Unavailable("The organization is being moved; try again.") from error
                else:
                    yield Tx(connection, org_id, route.shard, actor), connection
                    return
            self._routes.pop(org_id, None)
            route = await self.route(org_id)


@asynccontextmanager
async def _connection(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    try:
        with outages_are_problems():
            connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)
    except (OSError, TimeoutError) as error:
        raise Unavailable("The database can't be reached, or is too busy; nothing was saved.") from error
    try:
        yield cast("asyncpg.Connection", connection)
    finally:
        await pool.release(connection)


@asynccontextmanager
async def _finished(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Commit when the block ends well, else roll back; marks the task as holding a transaction."""
    open_transactions.set(open_transactions.get() + 1)
    try:
        with outages_are_problems():
            yield
            await connection.execute("COMMIT")
    except BaseException:
        await abandon(connection)
        raise
    finally:
        open_transactions.set(open_transactions.get() - 1)
