"""Two servers for all tests of moves; they run on one worker, so that the servers start once."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dana.platform.local.postgres import start_postgres
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.placement.actions.desk import Desk
from tests.services.placement.grounds import Grounds, build


@pytest.fixture(scope="session")
async def two_servers(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """An installation with shard1 and shard2 on the catalog's server, and shard3 on a second."""
    home = tmp_path_factory.mktemp("placement")
    home.chmod(0o755)
    first, second = start_postgres(home / "first"), start_postgres(home / "second")
    try:
        settings = replace(servers, database_url=first.dsn)
        await build(settings, second.dsn)
        yield settings
    finally:
        first.stop()
        second.stop()


@pytest.fixture
async def grounds(two_servers: Settings) -> AsyncIterator[Grounds]:
    """The installation, as an operator and as a writing service see it."""
    placing, writing = Shards(two_servers, "placement"), Shards(two_servers, "conversations")
    grounds = Grounds(two_servers, Desk(two_servers, placing), writing)
    yield grounds
    await grounds.end_moves()
    await placing.close()
    await writing.close()
