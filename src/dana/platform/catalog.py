"""The catalog: the one database that knows all organizations, who lives where, and which shards there are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from dana.contracts.ids import InboxId, OrgId
from dana.platform.database import CatalogTx, outages_are_problems
from dana.platform.errors import Missing, Unavailable
from dana.platform.pools import Home, Pools, connection_of, finished
from dana.platform.servers import CATALOG

CACHED_ROUTES = 100_000
NO_SHARD_IS_OPEN = "OM003"
_HOME = Home(None, CATALOG)


@dataclass(frozen=True, slots=True)
class Route:
    """Where an organization lives."""

    shard: str
    epoch: int


class Catalog:
    """Users, sign-in, and who lives where."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._channels: dict[str, tuple[OrgId, InboxId]] = {}

    @asynccontextmanager
    async def tx(self) -> AsyncIterator[CatalogTx]:
        """Open a read-write transaction; it commits when the block ends without an exception."""
        async with connection_of(await self.pool()) as connection:
            with outages_are_problems():
                await connection.execute("BEGIN")
            async with finished(connection):
                yield CatalogTx(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[CatalogTx]:
        """Open a read-only transaction."""
        async with connection_of(await self.pool()) as connection:
            with outages_are_problems():
                await connection.execute("BEGIN READ ONLY")
            async with finished(connection):
                yield CatalogTx(connection)

    async def pool(self) -> asyncpg.Pool:
        """Return this service's connections to the catalog; for the platform, not for services."""
        return await self._pools.of(_HOME)

    async def locate(self, org_id: OrgId) -> Route:
        """Look up where an organization lives; raises Missing."""
        async with self.read() as tx:
            row = await tx.fetchrow("select shard, epoch from platform.organizations where id = $1", org_id)
        if row is None:
            raise Missing("There is no such organization.")
        return Route(row["shard"], row["epoch"])

    async def place(self, org_id: OrgId) -> Route:
        """Choose a shard for a new organization, or say where it is already; raises Unavailable."""
        try:
            async with self.tx() as tx:
                row = await tx.fetchrow("select shard, epoch from platform.place_organization($1)", org_id)
        except asyncpg.PostgresError as error:
            if error.sqlstate != NO_SHARD_IS_OPEN:
                raise
            row = None
        if row is None:
            raise Unavailable("No shard is open for new organizations.")
        return Route(row["shard"], row["epoch"])

    async def shards(self) -> dict[str, Home]:
        """Return the database of each shard by the shard's name."""
        async with self.read() as tx:
            rows = await tx.fetch("select name, address, database from platform.shards order by name")
        return {row["name"]: Home(row["address"], row["database"]) for row in rows}

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
