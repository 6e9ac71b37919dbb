"""A Dana for the random walk: its own servers, REST here, two real-time nodes in processes of their own."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx

from dana.app import Dana, compose, started
from dana.platform.gateway.model import Upstream
from dana.platform.identity import Keys
from dana.platform.local.postgres import start_postgres
from dana.platform.local.programs import free_port
from dana.platform.local.valkey import Valkey, start_valkey
from dana.platform.migrations import migrate
from dana.platform.secrets import Secrets
from dana.platform.settings import Settings

HERE = (Upstream.AUTH, Upstream.CONVERSATIONS, Upstream.KNOWLEDGE, Upstream.AI, Upstream.PLACEMENT)
TRANSPORTS = ("picows", "websockets")  # of one node each
START_SECONDS = 90.0
GENEROUS = 1_000.0  # so many actions from one address are a test


@dataclass
class NodeProcess:
    """One real-time node, started again on the same port whenever it was killed."""

    environment: dict[str, str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self.process = self._spawn()
        deadline = time.monotonic() + START_SECONDS
        while not await self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            await asyncio.sleep(0.05)

    def kill(self) -> None:
        """Kill -9, and take note of its death."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dana", "run", "realtime"]
        with self.log.open("ab") as output:
            return subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


@dataclass
class World:
    """All parts, and how to hurt them."""

    settings: Settings
    dana: Dana
    keys: Keys
    valkey: Valkey
    nodes: list[NodeProcess] = field(default_factory=list)

    def http(self, token: str = "") -> httpx.AsyncClient:
        """Make somebody's client; each has an address of its own."""
        address = f"10.0.{random.randrange(256)}.{random.randrange(256)}"  # noqa: S311 - whose limits are his own
        transport = httpx.ASGITransport(app=self.dana.http, client=(address, 4242))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=60, headers=headers
        )

    async def restart_valkey(self) -> None:
        """Kill it, and start another on the same port, with what it had written down."""
        port = int(self.valkey.url.rsplit(":", 1)[1].partition("/")[0])
        self.valkey.process.kill()
        await asyncio.to_thread(self.valkey.process.wait)
        self.valkey = start_valkey(self.settings.data_dir / "valkey", port)

    async def restart_node(self, number: int) -> None:
        self.nodes[number].kill()
        await self.nodes[number].start()

    async def forget_events(self, org_id: str, up_to: int) -> None:
        """Let the log have ended earlier, as it does after weeks."""
        for database in await self._databases():
            address = self.settings.database_url.rpartition("/")[0] + f"/{database}"
            connection = await asyncpg.connect(address)
            try:
                await connection.execute(
                    "delete from platform.event_log where org_id = $1 and cursor <= $2", org_id, up_to
                )
            finally:
                await connection.close()

    async def _databases(self) -> list[str]:
        connection = await asyncpg.connect(self.settings.database_url)
        try:
            rows = await connection.fetch("select datname from pg_database where datname like '%shard%'")
        finally:
            await connection.close()
        assert rows, "no shard was found"
        return [row["datname"] for row in rows]


@contextlib.asynccontextmanager
async def made() -> AsyncIterator[World]:
    """Start everything, and stop it."""
    with _folder() as home:
        postgres, valkey = start_postgres(home / "postgres"), start_valkey(home / "valkey")
        settings = Settings(
            data_dir=home,
            database_url=postgres.dsn,
            redis_url=valkey.url,
            public_url="http://localhost:8080",
            secrets=Secrets.load(home / "secrets"),
            web_dir=home / "web",
            widget_dir=home / "widget",
            limits_factor=GENEROUS,
            environment="test",
        )
        await migrate(settings)
        world = World(settings, compose(settings, HERE), Keys(settings.secrets), valkey)
        world.nodes = [_node(settings, home / transport, transport) for transport in TRANSPORTS]
        try:
            async with started(world.dana):
                await asyncio.gather(*(node.start() for node in world.nodes))
                yield world
        finally:
            for node in world.nodes:
                node.kill()
            world.valkey.stop()
            postgres.stop()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dana-law-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        (home / "valkey").mkdir()
        yield home


def _node(settings: Settings, home: Path, transport: str) -> NodeProcess:
    home.mkdir()
    port = free_port()
    environment = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")} | {
        "DANA_DATA": str(home),
        "DANA_SECRETS": str(settings.data_dir / "secrets"),
        "DANA_DATABASE_URL": settings.database_url,
        "DANA_REDIS_URL": settings.redis_url,
        "DANA_REALTIME_PORT": str(port),
        "DANA_REALTIME_TRANSPORT": transport,
        "DANA_HTTP_PORT": str(free_port()),
    }
    return NodeProcess(environment, port, home / "log")
