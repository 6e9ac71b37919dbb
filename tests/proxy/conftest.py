"""An installation of its own: what is to be told to the proxy must not be taken by a Dana without one."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dana.platform.local.postgres import start_postgres
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import migrate
from dana.platform.settings import Settings


@pytest.fixture(scope="module")
async def alone(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """Servers that nobody else uses."""
    home = servers.data_dir / tmp_path_factory.mktemp("proxy").name  # where the database's account may look
    home.mkdir()
    postgres, valkey = start_postgres(home / "postgres"), start_valkey(home)
    try:
        settings = replace(servers, data_dir=home, database_url=postgres.dsn, redis_url=valkey.url)
        await migrate(settings)
        yield settings
    finally:
        valkey.stop()
        postgres.stop()
