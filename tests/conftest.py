"""Real parts for every test: one PostgreSQL and one Valkey a worker, databases made from templates.

Databases are migrated once per worker and shared by its tests; a test gets fresh organizations instead, which
is how tenants are kept apart in production, too.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from dana.contracts.ids import OrgId, new_id
from dana.platform.local.postgres import start_postgres
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import migrate
from dana.platform.secrets import Secrets
from dana.platform.settings import Settings
from dana.platform.shards import Shards


@pytest.fixture(scope="session")
def servers() -> Iterator[Settings]:
    """Start PostgreSQL and Valkey."""
    with tempfile.TemporaryDirectory(prefix="dana-test-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        postgres = start_postgres(home / "postgres")
        valkey = start_valkey(home / "valkey")
        try:
            yield Settings(
                data_dir=home,
                database_url=postgres.dsn,
                redis_url=valkey.url,
                public_url="http://localhost:8080",
                secrets=Secrets.load(home / "secrets"),
                web_dir=home / "web",
                widget_dir=home / "widget",
                environment="test",
            )
        finally:
            valkey.stop()
            postgres.stop()


@pytest.fixture(scope="session")
async def settings(servers: Settings) -> Settings:
    """An installation with all migrations."""
    await migrate(servers)
    return servers


@pytest.fixture
async def shards_of(settings: Settings) -> AsyncIterator[Callable[[str], Shards]]:
    """Make the shards as a service sees them."""
    made: dict[str, Shards] = {}

    def of(service: str) -> Shards:
        return made.setdefault(service, Shards(settings, service))

    yield of
    for shards in made.values():
        await shards.close()


@pytest.fixture
async def org(shards_of: Callable[[str], Shards]) -> OrgId:
    """A fresh organization."""
    return await _new_organization(shards_of)


@pytest.fixture
async def other_org(shards_of: Callable[[str], Shards]) -> OrgId:
    """A second organization, on the other shard more often than not."""
    return await _new_organization(shards_of)


async def _new_organization(shards_of: Callable[[str], Shards]) -> OrgId:
    org_id = OrgId(new_id())
    await shards_of("auth").place(org_id)
    return org_id
