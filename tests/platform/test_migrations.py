"""Migrations: in order, once, refused when changed, and a shard that fails keeps the others untouched."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from dana.platform import migrations
from dana.platform.database import address
from dana.platform.local.postgres import start_postgres
from dana.platform.migrations import ChangedMigrationError, Step, migrate, plan
from dana.platform.settings import Settings


@pytest.fixture
async def empty(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """A server without any database of ours."""
    home = tmp_path_factory.mktemp("migrations")
    home.chmod(0o755)
    server = start_postgres(home)
    yield replace(servers, database_url=server.dsn)
    server.stop()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service of its own, with one migration for shards and one for the catalog."""
    folder = tmp_path / "shop" / "migrations"
    (folder / "catalog").mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").write_text("")
    (folder / "0001_first.sql").write_text("create table shop.first (n int);")
    (folder / "catalog" / "0001_names.sql").write_text("create table shop.names (n int);")
    monkeypatch.setattr(migrations, "SERVICES_DIR", tmp_path)
    monkeypatch.setattr(migrations, "PLATFORM_DIR", tmp_path / "nothing")
    (tmp_path / "nothing" / "catalog").mkdir(parents=True)
    (tmp_path / "nothing" / "catalog" / "0001_shards.sql").write_text(
        "create schema platform;"
        "create table platform.shards (name text primary key, database text not null);"
        "create table platform.shard_logins (shard text, sealed_url bytea);"
        "create table platform.schema_holds (name text, reason text, since timestamptz default now());"
    )
    return folder


async def tables(settings: Settings, database: str) -> set[str]:
    connection = await asyncpg.connect(address(settings.database_url, database=database))
    rows = await connection.fetch(
        "select table_name from information_schema.tables where table_schema = 'shop'"
    )
    await connection.close()
    return {row["table_name"] for row in rows}


async def test_the_plan_is_what_runs_and_a_second_run_does_nothing(empty: Settings, files: Path) -> None:
    planned = await plan(empty)
    ran: list[Step] = []
    assert await migrate(empty, ran.append) == len(planned) == 4
    assert sorted(map(str, ran)) == sorted(map(str, planned))
    assert [step.database for step in ran][:2] == ["catalog"] * 2
    assert await plan(empty) == []
    assert await migrate(empty) == 0
    assert await tables(empty, "dana_shard2") == {"first"}


async def test_a_file_that_changed_after_it_ran_is_refused(empty: Settings, files: Path) -> None:
    await migrate(empty)
    (files / "0001_first.sql").write_text("create table shop.first (n bigint);")
    with pytest.raises(ChangedMigrationError, match="0001_first"):
        await plan(empty)
    with pytest.raises(ChangedMigrationError, match="write a new numbered file"):
        await migrate(empty)


async def test_what_fails_on_the_canary_leaves_no_trace_and_reaches_no_other_shard(
    empty: Settings, files: Path
) -> None:
    await migrate(empty)
    (files / "0002_second.sql").write_text("create table shop.second (n int); select 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty)
    assert await tables(empty, "dana_shard1") == await tables(empty, "dana_shard2") == {"first"}
    (files / "0002_second.sql").write_text("create table shop.second (n int);")
    assert await migrate(empty) == 2


async def test_two_runners_at_once_run_everything_once(empty: Settings, files: Path) -> None:
    assert sum(await asyncio.gather(migrate(empty), migrate(empty), migrate(empty))) == 4


async def test_a_table_in_use_is_waited_for_without_blocking_its_users(
    empty: Settings, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    await migrate(empty)
    (files / "0002_more.sql").write_text("alter table shop.first add column m int;")
    user = await asyncpg.connect(address(empty.database_url, database="dana_shard1"))
    await user.execute("begin; select * from shop.first")
    running = asyncio.create_task(migrate(empty))
    await asyncio.sleep(0.5)
    assert not running.done()
    await user.execute("commit")
    await user.close()
    assert await running == 2
