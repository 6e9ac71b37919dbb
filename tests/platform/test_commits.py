"""A commit that waits for a synchronous standby is acknowledged when the standby has it, and never before.

The server here waits for a standby that doesn't exist, until it is told that it needs none.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from dana.platform import pools
from dana.platform.database import open_pool, outages_are_problems
from dana.platform.errors import Unavailable
from dana.platform.local.postgres import FAST_AND_FORGETFUL, start_postgres
from dana.platform.pools import connection_of, finished

WAITING = "pg_stat_activity where wait_event = 'SyncRep'"


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="dana-test-") as folder:
        Path(folder).chmod(0o755)
        server = start_postgres(Path(folder), FAST_AND_FORGETFUL | {"synchronous_commit": "on"})
        try:
            yield server.dsn
        finally:
            server.kill()


@pytest.fixture
async def admin(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn, server_settings={"synchronous_commit": "local"})
    await connection.execute("drop table if exists said; create table said (text text)")
    await require(connection, "nobody")
    yield connection
    await require(connection, "")
    await connection.execute(f"select pg_terminate_backend(pid) from {WAITING}")  # noqa: S608 - of constants
    await connection.close()


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await open_pool(dsn, 3)
    yield opened
    opened.terminate()


async def require(admin: asyncpg.Connection, standby: str) -> None:
    await admin.execute(f"alter system set synchronous_standby_names = '{standby}'")
    await admin.execute("select pg_reload_conf()")
    await until(admin, f"select current_setting('synchronous_standby_names') = '{standby}'")


async def until(admin: asyncpg.Connection, question: str) -> None:
    async with asyncio.timeout(20):
        while not await admin.fetchval(question):
            await asyncio.sleep(0.02)


async def said(admin: asyncpg.Connection) -> list[str]:
    return [row["text"] for row in await admin.fetch("select text from said")]


async def say(pool: asyncpg.Pool, text: str) -> None:
    async with connection_of(pool) as connection:
        with outages_are_problems():
            await connection.execute("BEGIN")
        async with finished(connection):
            await connection.execute("insert into said values ($1)", text)


@asynccontextmanager
async def saying(pool: asyncpg.Pool, admin: asyncpg.Connection) -> AsyncIterator[asyncio.Task[None]]:
    """Say something; the block begins when its commit waits for the standby."""
    task = asyncio.create_task(say(pool, "hello"))
    await until(admin, f"select exists (select from {WAITING})")  # noqa: S608 - of constants
    yield task


async def test_it_waits_for_the_standby(pool: asyncpg.Pool, admin: asyncpg.Connection) -> None:
    async with saying(pool, admin) as task:
        assert await said(admin) == []
        await require(admin, "")
        await task
    assert await said(admin) == ["hello"]


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_whoever_ends_the_wait_doesn_t_make_it_a_success(
    pool: asyncpg.Pool, admin: asyncpg.Connection, end: str
) -> None:
    async with saying(pool, admin) as task:
        await admin.execute(f"select {end}(pid) from {WAITING}")  # noqa: S608 - of constants
        with pytest.raises(Unavailable, match="may be saved or not"):
            await task


async def test_a_standby_that_hangs_is_not_waited_for_for_ever(
    pool: asyncpg.Pool, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "COMMIT_TIMEOUT_SECONDS", 0.2)
    async with saying(pool, admin) as task:
        with pytest.raises(Unavailable, match="may be saved or not"):
            await task
    await nothing_is_seen_before_it_is_safe(pool, admin)


async def test_a_request_that_is_given_up_doesn_t_end_the_wait(
    pool: asyncpg.Pool, admin: asyncpg.Connection
) -> None:
    async with saying(pool, admin) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await nothing_is_seen_before_it_is_safe(pool, admin)


async def nothing_is_seen_before_it_is_safe(pool: asyncpg.Pool, admin: asyncpg.Connection) -> None:
    """What was given up goes on waiting, unseen; then it is there, and the pool is as good as before."""
    for _ in range(10):
        assert await admin.fetchval(f"select count(*) from {WAITING}") == 1  # noqa: S608 - of constants
        assert await said(admin) == []
        await asyncio.sleep(0.02)
    await require(admin, "")
    await until(admin, "select exists (select from said)")
    await say(pool, "again")
    assert await said(admin) == ["hello", "again"]


FAREWELL = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0"


async def test_a_server_that_says_farewell_between_two_statements_is_an_outage(
    pool: asyncpg.Pool, admin: asyncpg.Connection
) -> None:
    await require(admin, "")
    with pytest.raises(Unavailable):
        async with connection_of(pool) as connection:
            await connection.execute("BEGIN")
            async with finished(connection):
                await connection.execute("insert into said values ('hello')")
                message = b"E" + (len(FAREWELL) + 4).to_bytes(4) + FAREWELL
                connection._protocol.data_received(message)  # type: ignore[attr-defined]
    await say(pool, "again")
    assert await said(admin) == ["again"]
