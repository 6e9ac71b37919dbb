"""A server with a hot standby, migrated."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dana.platform.database import address, hosts
from dana.platform.local.postgres import start_postgres
from dana.platform.local.replica import start_replica
from dana.platform.migrations import migrate
from dana.platform.settings import Settings
from tests.platform.replicas.pair import Pair


@pytest.fixture(scope="session")
def servers_with_replica(
    servers: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    home = tmp_path_factory.mktemp("replicas")
    for folder in (home, *home.parents[:2]):
        folder.chmod(0o755)
    primary = start_postgres(home / "primary")
    copy = start_replica(primary, home / "replica")
    yield primary.dsn, copy.dsn
    copy.stop()
    primary.stop()


@pytest.fixture(scope="session")
async def pair(servers: Settings, servers_with_replica: tuple[str, str]) -> Pair:
    primary, copy = servers_with_replica
    both = ",".join([*hosts(copy), *hosts(primary)])  # the replica first: whoever comes first is no matter
    url = address(primary, database="postgres", host=both)
    settings = replace(servers, database_url=address(url, database="postgres"))
    await migrate(settings)
    return Pair(settings, address(copy, database="postgres"))
