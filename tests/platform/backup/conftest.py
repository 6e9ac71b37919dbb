"""The servers of all these tests: started once, with a folder of backups for each test."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dana.platform.backup.folder import Backups
from dana.platform.local.postgres import FAST_AND_FORGETFUL, start_postgres
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import migrate
from dana.platform.secrets import Secrets
from dana.platform.servers import administer
from dana.platform.settings import Settings
from tests.platform.backup.installation import Installation, add_shard

HERE = Path(__file__).parent
FORGET_CATALOG = """
drop table if exists public.notes; delete from placement.moves;
delete from platform.organizations; delete from platform.schema_holds"""
FORGET_SHARD = """
drop table if exists public.notes; drop publication if exists dana_move_1;
delete from platform.org_placement; delete from platform.org_cursor; delete from platform.move_markers"""
SERVER = {**FAST_AND_FORGETFUL, "max_slot_wal_keep_size": "64MB"}  # so that it can be exceeded
DROP_SLOTS = "select pg_drop_replication_slot(slot_name) from pg_replication_slots"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker have all of them: they share the servers."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("backup"))


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder that PostgreSQL's account may enter."""
    with tempfile.TemporaryDirectory(prefix="dana-test-backup-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
async def two_servers(home: Path) -> AsyncIterator[Installation]:
    """Start and migrate both servers."""
    data = home / "data"
    first = start_postgres(data, SERVER)
    second = start_postgres(home / "second", SERVER)
    valkey = start_valkey(data)
    settings = Settings(
        data_dir=data,
        database_url=first.dsn,
        redis_url=valkey.url,
        public_url="http://localhost:8080",
        secrets=Secrets.load(data / "secrets"),
        web_dir=home,
        widget_dir=home,
        shard_count=1,
        environment="test",
    )
    await migrate(settings)
    await add_shard(settings, "shard2", second.dsn)
    with pytest.MonkeyPatch.context() as patch:
        # Root's programs have been copied to where PostgreSQL's account reaches them: once is enough.
        patch.setenv("DANA_POSTGRES_BIN", str(Path(first.program.command[0]).parent))
        yield Installation(home, settings, first, second, valkey, Backups(home))
    valkey.stop()
    second.stop()
    first.stop()


@pytest.fixture
def place(home: Path) -> Iterator[Path]:
    """A folder for one test, which PostgreSQL's account may enter, too."""
    with tempfile.TemporaryDirectory(dir=home) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
async def installation(two_servers: Installation, place: Path) -> AsyncIterator[Installation]:
    """The same servers for every test, each with a folder of backups and a log of its own."""
    yield replace(two_servers, home=place, backups=Backups(place / "backups"), told=[])
    for dsn in (two_servers.first.dsn, two_servers.second.dsn):
        async with administer(dsn) as connection:
            await connection.execute(DROP_SLOTS)
    for name in ("catalog", "shard1", "shard2"):
        async with administer(await two_servers.dsn(name)) as connection:
            await connection.execute(FORGET_CATALOG if name == "catalog" else FORGET_SHARD)
