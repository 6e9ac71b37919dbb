"""Connections to PostgreSQL, one pool per service and database, and the transaction that writes.

A transaction of an organization is `BEGIN; begin_org(…)` in one round trip, the work, then the events and
`COMMIT`. Pools don't reset connections: all settings and locks end with their transaction.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import asyncpg

from dana.contracts.events import Event
from dana.contracts.ids import OrgId
from dana.platform.errors import Invalid, Unavailable
from dana.platform.identity import Actor
from dana.platform.outbox import Outbox
from dana.platform.primary import connect

CONNECT_TIMEOUT_SECONDS = 5.0
ACQUIRE_TIMEOUT_SECONDS = 5.0  # waiting longer for a connection means overload: say so instead
COMMAND_TIMEOUT_SECONDS = 13.0  # the server gives up a statement after 10: this one doesn't do even that
SERVER_SETTINGS = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
    "transaction_timeout": "30s",
    "timezone": "UTC",
}

STALE_ROUTE = "OM001"  # the organization does not live here at this epoch
BEHIND = "OM004"  # this replica does not show what the reader has seen

LOST = (
    ConnectionError,
    TimeoutError,
    asyncpg.exceptions.TargetServerAttributeNotMatched,  # no primary among the hosts at the moment
    asyncpg.ReadOnlySQLTransactionError,  # this one was demoted
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver met a farewell that it didn't expect
)
DRIVER_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Whatever the driver may raise when a server, or the way to it, is not as it should be."""

_HOPELESS = (TimeoutError, asyncpg.ReadOnlySQLTransactionError)
_BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TransactionTimeoutError,
)


class Statements:
    """The statements of one open transaction. $1, $2 … stand for the arguments."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows."""
        return await self._connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row, if any."""
        return await self._connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        return await self._connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement; returns its command tag, such as `UPDATE 1`."""
        return await self._connection.execute(sql, *args)

    async def executemany(self, sql: str, args: list[tuple[Any, ...]]) -> None:
        """Run a statement for each row of arguments, in one round trip."""
        await self._connection.executemany(sql, args)

    async def copy_rows(
        self, schema: str, table: str, columns: list[str], rows: list[tuple[Any, ...]]
    ) -> None:
        """Write many rows with COPY; the organization's column must be among them."""
        await self._connection.copy_records_to_table(table, schema_name=schema, columns=columns, records=rows)


class CatalogTx(Statements):
    """An open transaction on the catalog, which belongs to no single organization."""


class Tx(Statements):
    """An open transaction of one organization: the first argument of every writing action."""

    def __init__(self, connection: asyncpg.Connection, org_id: OrgId, shard: str, actor: Actor) -> None:
        super().__init__(connection)
        self.org_id = org_id
        self.shard = shard
        self.actor = actor
        self.now = datetime.now(UTC)
        self.outbox = Outbox(self.now, shard)

    def emit(self, event: Event, due: datetime | None = None) -> None:
        """Say what happened; published if and only if this transaction commits.

        With `due`, it is delivered to consumers only then; the log and whoever listens have it at once.
        """
        self.outbox.add(event, due)


async def open_pool(dsn: str, size: int) -> asyncpg.Pool:
    """Open a pool of at most `size` connections, none of them before it is needed."""
    addresses = each_host(dsn)
    return await asyncpg.create_pool(
        connect=lambda *_, **options: connect(addresses, **options),
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        max_inactive_connection_lifetime=300.0,
        server_settings=SERVER_SETTINGS | {"application_name": "dana"},
        reset=_keep_as_it_is,
    )


async def abandon(connection: asyncpg.Connection | Any, error: BaseException | None = None) -> None:
    """Roll back; a connection that can't even do that, or leads to a demoted or silent server, is closed."""
    if not isinstance(getattr(error, "__cause__", None), _HOPELESS):
        try:
            await asyncio.shield(connection.execute("ROLLBACK"))
        except DRIVER_ERRORS:
            pass
        else:
            return
    with suppress(asyncpg.InterfaceError):  # it was lost, so the pool has it back already
        connection.terminate()


@contextmanager
def outages_are_problems() -> Iterator[None]:
    """Turn a lost or overloaded database into Unavailable, unstorable text into Invalid; bugs pass."""
    try:
        yield
    except asyncpg.CharacterNotInRepertoireError:
        raise Invalid("Text can't contain the character U+0000; leave it out.") from None
    except _BUSY as error:
        raise Unavailable("The database is too busy; nothing was saved.") from error
    except LOST as error:
        is_a_bug = isinstance(error, ValueError) or "another operation is in" in str(error)
        if is_a_bug:
            raise
        raise Unavailable("The database can't be reached; nothing was saved.") from error


def address(
    server: str,
    *,
    database: str,
    user: str | None = None,
    password: str | None = None,
    host: str | None = None,
) -> str:
    """Take a server's address and change the database, and the user or the host where one is given.

    A server may have several hosts, `postgresql://user@host1:port,host2:port/…`: then the address leads to
    whichever is the primary, and with `host` to that one, whatever it is.
    """
    parts = urlsplit(server)
    login, _, listed = parts.netloc.rpartition("@")
    if user is not None:
        login = f"{quote(user)}:{quote(password or '', safe='')}"
    options = dict(parse_qsl(parts.query))
    options.pop("target_session_attrs", None)
    if host is None and "," in listed:
        options["target_session_attrs"] = "read-write"
    netloc = f"{login}@{host or listed}" if login else (host or listed)
    return parts._replace(netloc=netloc, path=f"/{database}", query=urlencode(options)).geturl()


def hosts(server: str) -> list[str]:
    """Name the hosts of a server's address as they stand there, each `host:port`."""
    return urlsplit(server).netloc.rpartition("@")[2].split(",")


def each_host(server: str) -> list[str]:
    """Return an address for each of a server's hosts; the only one stays as it is."""
    listed = hosts(server)
    if len(listed) == 1:
        return [server]
    return [address(server, database=urlsplit(server).path[1:], host=host) for host in listed]


def without_login(server: str) -> str:
    """Take user and password out of a server's address, and the database."""
    parts = urlsplit(server)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path="").geturl()


def login_of(server: str) -> tuple[str, str]:
    """Read user and password of a server's address."""
    parts = urlsplit(server)
    return unquote(parts.username or ""), unquote(parts.password or "")


async def _keep_as_it_is(connection: Any) -> None:
    """Leave the connection untouched: every setting and lock of ours ends with its transaction."""
