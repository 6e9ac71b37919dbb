"""The primary is found among hosts that are dead, silent or replicas, and a dead one is noticed."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from dana.platform import primary
from dana.platform.database import address, each_host, open_pool
from dana.platform.errors import Unavailable
from dana.platform.local.postgres import FAST_AND_FORGETFUL, start_postgres
from dana.platform.local.programs import free_port
from dana.platform.pools import connection_of

# Far longer than this takes, and shorter than the driver would wait for a host that says nothing.
PATIENCE_SECONDS = 4.0


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server's address over TCP."""
    with tempfile.TemporaryDirectory(prefix="dana-test-") as folder:
        Path(folder).chmod(0o755)
        postgres = start_postgres(Path(folder), FAST_AND_FORGETFUL)
        try:
            port = postgres.dsn.rpartition(":")[2].partition("/")[0]
            yield address(postgres.dsn, database="postgres", host=f"127.0.0.1:{port}")
        finally:
            postgres.kill()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """The socket of a host that swallows everything: its kernel answers, and nobody else."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        listener.setblocking(False)
        yield listener


@pytest.fixture
def silent(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def host_of(server: str) -> str:
    return server.rpartition("@")[2].partition("/")[0]


def among(server: str, *hosts: str) -> str:
    return address(server, database="postgres", host=",".join(hosts))


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        connection = await primary.connect(each_host(dsn), timeout=20)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_silent_and_a_dead_host_keep_nobody_from_the_primary(server: str, silent: str) -> None:
    dead = f"127.0.0.1:{free_port()}"
    for hosts in ((silent, dead, host_of(server)), (dead, host_of(server), silent)):
        async with connected(among(server, *hosts)) as connection:
            assert await connection.fetchval("select 1") == 1


async def test_the_last_primary_is_asked_first(server: str, silent: str, listener: socket.socket) -> None:
    dsn = among(server, silent, host_of(server))
    async with connected(dsn):
        listener.accept()[0].close()
    async with connected(dsn):
        with pytest.raises(BlockingIOError):  # nobody has called
            listener.accept()


async def test_no_primary_is_an_outage(server: str) -> None:
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    pool = await open_pool(among(server, *hosts), 2)
    with pytest.raises(Unavailable):
        async with connection_of(pool):
            pass
    pool.terminate()


async def test_a_refused_login_is_no_outage(server: str, silent: str) -> None:
    dsn = among(server.replace("dana:", "dana:not"), f"127.0.0.1:{free_port()}", host_of(server))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await primary.connect(each_host(dsn), timeout=5)


async def test_a_machine_that_vanishes_is_noticed(server: str) -> None:
    async with connected(server) as connection:
        sock = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        for name, setting in primary.KEEPALIVE.items():
            assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == setting
