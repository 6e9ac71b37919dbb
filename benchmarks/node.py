"""One real-time node as a process, and what all nodes of a benchmark share.

python -m benchmarks.node       what it needs stands in its environment; prints `ready PORT`
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from dana.contracts.ids import OrgId, new_id
from dana.platform.ephemera import Ephemera
from dana.platform.fanout import Fanout
from dana.platform.identity import Keys
from dana.platform.local.postgres import Postgres, start_postgres
from dana.platform.local.programs import free_port
from dana.platform.local.valkey import Valkey as ValkeyServer
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import migrate
from dana.platform.service import Platform
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey
from dana.services.realtime.service import build


@dataclass(slots=True)
class Ground:
    """What nodes stand on."""

    home: Path
    settings: Settings
    environment: dict[str, str]
    postgres: Postgres
    valkey: ValkeyServer

    async def place(self, many: int) -> list[OrgId]:
        """Give so many organizations their places."""
        shards = Shards(self.settings, "auth")
        organizations = [OrgId(new_id()) for _ in range(many)]
        for org_id in organizations:
            await shards.place(org_id)
        await shards.close()
        return organizations


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Start PostgreSQL and Valkey in a folder of their own, and stop them in the end."""
    with tempfile.TemporaryDirectory(prefix="dana-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # PostgreSQL runs as another user when we are root
        postgres, valkey = start_postgres(home / "postgres"), start_valkey(home / "valkey")
        environment = {
            "DANA_DATA": folder,
            "DANA_DATABASE_URL": postgres.dsn,
            "DANA_REDIS_URL": valkey.url,
            "DANA_SECRETS": str(home / "secrets"),
        }
        os.environ |= environment
        ground = Ground(home, Settings.from_environment(), environment, postgres, valkey)
        try:
            await migrate(ground.settings)
            yield ground
        finally:
            ground.valkey.stop()
            postgres.stop()


async def serve() -> None:
    """Be a node until SIGTERM."""
    leave = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave.set)
    os.environ.setdefault("DANA_REALTIME_PORT", str(free_port()))
    settings = Settings.from_environment()
    valkey = Valkey(settings.redis_url)
    fanout = Fanout(valkey)
    shards, keys = Shards(settings, "realtime"), Keys(settings.secrets)
    service = build(Platform(settings, shards, keys, valkey, fanout, Ephemera(fanout)))
    assert service.start is not None  # noqa: S101 - it has a server
    assert service.stop is not None  # noqa: S101 - the same
    await valkey.start()
    await service.start()
    print(f"ready {settings.realtime_port}", flush=True)
    await leave.wait()
    await service.stop()
    await valkey.stop()
    await shards.close()


if __name__ == "__main__":
    uvloop.run(serve())
