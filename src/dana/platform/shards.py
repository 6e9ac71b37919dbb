"""Shards: every organization lives on one of several databases, and every transaction goes there.

org_id ──► route (cached: shard, epoch) ──► pool of that shard ──► begin_org(org, epoch)
                ▲                                                        │
                └──────── ask the catalog again ◄── OM001: moved, or being moved

A read may go to a replica instead, if its client has not seen more than the replica shows.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from dana.contracts.ids import OrgId
from dana.platform.catalog import CACHED_ROUTES, Catalog, Route
from dana.platform.database import BEHIND, DRIVER_ERRORS, STALE_ROUTE, Tx, abandon, outages_are_problems
from dana.platform.errors import Missing, Unavailable
from dana.platform.identity import SYSTEM, Actor
from dana.platform.outbox import EMIT, Outbox
from dana.platform.pools import Home, Pools, connection_of, finished, give_back
from dana.platform.positions import Position, Seen, seen
from dana.platform.replicas import READS, Replicas
from dana.platform.settings import Settings
from dana.platform.turns import Turns

MOVE_PATIENCE_SECONDS = 3.0  # an organization is closed for some 20 ms while it moves; longer than a bad case
MOVE_POLL_SECONDS = 0.004
LOOKS_AT_CATALOG = 12  # polls before the shard itself is tried again, in case the move was aborted
SHARDS_KNOWN_SECONDS = 5.0  # a shard added meanwhile is noticed after this long
REPLICA_PATIENCE_MS = 20  # longer than replay takes when nothing is wrong

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

Committed = Callable[[OrgId, int, Outbox], None]
"""Called after a commit with the organization, the cursor of the first event, and the events."""


class Shards:
    """Routes each organization's transactions to its shard, as one service's role."""

    def __init__(self, settings: Settings, service: str, replicas: Replicas | None = None) -> None:
        self._settings = settings
        self._pools = Pools(settings, service)
        self._replicas = replicas
        self._routes: dict[OrgId, Route] = {}
        self._homes: dict[str, Home] = {}
        self._homes_read_at = 0.0
        self._movers: dict[OrgId, asyncio.Task[None]] = {}
        self._turns: dict[str, Turns] = {}
        self.catalog = Catalog(self._pools)
        self.on_commit: list[Committed] = []

    @asynccontextmanager
    async def tx(self, org_id: OrgId, actor: Actor) -> AsyncIterator[Tx]:
        """Open a read-write transaction; at its end the events and the state commit together.

        Raises Unavailable when the shard is down (nothing was saved), Missing for an unknown organization.
        """
        async with self._begun(org_id, actor, "BEGIN") as (tx, connection, route):
            first_cursor = 0
            async with finished(connection):
                yield tx
                if tx.outbox:
                    newest = await connection.fetchval(EMIT, *tx.outbox.arguments(actor))
                    first_cursor = newest - len(tx.outbox.events) + 1
            if self._replicas is not None and self._replicas.has(route.shard):
                await self._note_write(connection, route, tx.outbox)
        if tx.outbox:
            for listener in self.on_commit:
                listener(org_id, first_cursor, tx.outbox)

    @asynccontextmanager
    async def read(self, org_id: OrgId) -> AsyncIterator[Tx]:
        """Open a read-only transaction with one snapshot for all its statements.

        On a replica, when there is one and the request's client has seen nothing that it doesn't show.
        """
        known = seen.get()
        if known is not None and known.may_lag and self._replicas is not None:
            route = await self.route(org_id)
            pool, host = await self._replica_pool(route, known)
            entered = await self._enter_replica(pool, host, org_id, route, known) if pool else None
            if pool and entered is not None:
                try:
                    borrowed = cast("asyncpg.Connection", entered)
                    async with finished(borrowed):
                        yield Tx(borrowed, org_id, route.shard, SYSTEM)
                finally:
                    await give_back(pool, entered)
                return
            if self._replicas.has(route.shard):
                READS.labels(route.shard, "primary").inc()
        async with self._begun(org_id, SYSTEM, _READ) as (tx, connection, _), finished(connection):
            yield tx

    async def cursor(self, tx: Tx) -> int:
        """Return the organization's cursor: all events up to it are part of what this transaction sees."""
        return int(await tx.fetchval("select value from platform.org_cursor where org_id = $1", tx.org_id))

    async def position(self, tx: Tx) -> Position | None:
        """Return a position at which all is contained that this transaction sees; None without replicas."""
        route = self._routes.get(tx.org_id)
        if route is None or self._replicas is None or not self._replicas.has(route.shard):
            return None
        row = await tx.fetchrow("select timeline, lsn from platform.position()")
        return Position(route.epoch, row["timeline"] or 0, row["lsn"]) if row else None

    async def place(self, org_id: OrgId) -> None:
        """Give a new organization its place; saying it twice changes nothing."""
        route = await self.catalog.place(org_id)
        async with connection_of(await self.pool(route.shard)) as connection:
            with outages_are_problems():
                await connection.execute("BEGIN")
            async with finished(connection):
                await connection.execute("select platform.adopt_organization($1, $2)", org_id, route.epoch)
        self._routes[org_id] = route

    async def names(self) -> list[str]:
        """Name all shards; one that was added meanwhile is among them a few seconds later."""
        if time.monotonic() - self._homes_read_at > SHARDS_KNOWN_SECONDS:
            await self._read_homes()
        return list(self._homes)

    async def pool(self, shard: str) -> asyncpg.Pool:
        """Return the connections to a shard, for `security definer` functions that span organizations."""
        return await self._pools.of(await self._home(shard))

    async def route(self, org_id: OrgId) -> Route:
        """Return where an organization lives; raises Missing."""
        route = self._routes.get(org_id)
        if route is None:
            route = await self.catalog.locate(org_id)
            if len(self._routes) >= CACHED_ROUTES:
                self._routes.clear()
            self._routes[org_id] = route
        return route

    def forget_route(self, org_id: OrgId) -> None:
        """Ask the catalog again the next time: somebody has noticed that the organization isn't there."""
        self._routes.pop(org_id, None)

    async def close(self) -> None:
        """Close all connections."""
        await self._pools.close()

    async def _home(self, shard: str) -> Home:
        if shard not in self._homes:
            await self._read_homes()
        home = self._homes.get(shard)
        if home is None:
            raise Missing(f"There is no shard named {shard}.")
        if self._replicas is not None:
            self._replicas.follow(shard, home.server or self._settings.database_url, home.database)
        return home

    async def _read_homes(self) -> None:
        self._homes = await self.catalog.shards()
        self._homes_read_at = time.monotonic()

    @asynccontextmanager
    async def _begun(
        self, org_id: OrgId, actor: Actor, begin: str
    ) -> AsyncIterator[tuple[Tx, asyncpg.Connection, Route]]:
        deadline = 0.0
        while True:
            route = await self.route(org_id)
            pool = await self.pool(route.shard)
            async with self._turns_at(route.shard).turn(org_id), connection_of(pool) as connection:
                if await _enter(connection, f"{begin}; {_begin_org(org_id, route)}", STALE_ROUTE):
                    yield Tx(connection, org_id, route.shard, actor), connection, route
                    return
            deadline = deadline or time.monotonic() + MOVE_PATIENCE_SECONDS
            if time.monotonic() > deadline:
                raise Unavailable("The organization is being moved; try again.")
            await self._look_up_again(org_id, route)

    def _turns_at(self, shard: str) -> Turns:
        turns = self._turns.get(shard)
        if turns is None:
            turns = self._turns[shard] = Turns(self._settings.pool_size)
        return turns

    async def _look_up_again(self, org_id: OrgId, stale: Route) -> None:
        """Return when the route has changed, or after a pause; all who wait for it share one task."""
        if self._routes.get(org_id, stale) != stale:
            return
        task = self._movers.get(org_id)
        if task is None:
            task = self._movers[org_id] = asyncio.create_task(self._await_move(org_id, stale))
            task.add_done_callback(lambda _: self._movers.pop(org_id, None))
        await asyncio.shield(task)

    async def _await_move(self, org_id: OrgId, stale: Route) -> None:
        for look in range(LOOKS_AT_CATALOG):
            if look:
                await asyncio.sleep(MOVE_POLL_SECONDS)
            self._routes[org_id] = await self.catalog.locate(org_id)
            if self._routes[org_id] != stale:
                return

    async def _replica_pool(self, route: Route, known: Seen) -> tuple[asyncpg.Pool | None, str]:
        """Return a replica worth trying, if any; a position of another place says nothing here."""
        home = await self._home(route.shard)
        if self._replicas is None or (known.at is not None and known.at.epoch != route.epoch):
            return None, ""
        host = self._replicas.choose(route.shard, known.at)
        return (await self._pools.of(home, host), host) if host else (None, "")

    async def _enter_replica(
        self, pool: asyncpg.Pool, host: str, org_id: OrgId, route: Route, known: Seen
    ) -> PoolConnectionProxy | None:
        """Begin on a replica; None when it is behind, away, or doesn't know the organization's new place."""
        goal = known.at or Position(route.epoch, 0, 0)
        wait = f"select platform.await_position({goal.timeline}, {goal.lsn}, '{REPLICA_PATIENCE_MS} ms')"
        begin = f"begin; {wait}; commit; {_READ}; {_begin_org(org_id, route)}"
        try:
            connection = await pool.acquire(timeout=REPLICA_PATIENCE_MS / 1000 * 5)
        except DRIVER_ERRORS:
            return None
        try:
            is_there = await _enter(cast("asyncpg.Connection", connection), begin, STALE_ROUTE, BEHIND)
        except Unavailable:
            is_there = False
        except BaseException:
            await give_back(pool, connection)
            raise
        if not is_there:
            await give_back(pool, connection)
            return None
        READS.labels(route.shard, "replica").inc()
        if self._replicas is not None and (sample := self._replicas.position(route.shard, host)) is not None:
            known.note(Position(route.epoch, *sample))  # so that the next replica shows no less than this one
        return connection

    async def _note_write(self, connection: asyncpg.Connection, route: Route, outbox: Outbox) -> None:
        """Remember how far the log has come after a commit.

        When the server is lost right after it, the next primary's history begins later: nothing older shows
        the write, and everything of the new history does.
        """
        try:
            row = await connection.fetchrow("select timeline, lsn from platform.position()")
            position = Position(route.epoch, row["timeline"], row["lsn"]) if row else None
        except DRIVER_ERRORS:
            timeline = self._replicas.newest_timeline(route.shard) if self._replicas else 0
            position = Position(route.epoch, timeline + 1, 0)
        outbox.position = position
        known = seen.get()
        if known is not None and position is not None:
            known.note(position)


def _begin_org(org_id: OrgId, route: Route) -> str:
    return f"select platform.begin_org('{org_id}', {route.epoch:d})"


async def _enter(connection: asyncpg.Connection, begin: str, *refusals: str) -> bool:
    """Begin a transaction; False, and rolled back, when the database refuses with one of these codes."""
    try:
        with outages_are_problems():
            await connection.execute(begin)
    except asyncpg.PostgresError as error:
        await abandon(connection)
        if error.sqlstate not in refusals:
            raise
        return False
    except BaseException as error:
        await abandon(connection, error)
        raise
    return True
