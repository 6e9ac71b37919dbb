"""Moves that can't be, or not now: refused with a reason, or waiting for their turn."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from dana.contracts.ids import OrgId, new_id
from dana.platform import migrations
from dana.platform.errors import Conflict, Missing
from dana.platform.migrations import LOCK_KEY, SchemaHeldError, migrate
from dana.platform.servers import administer
from dana.services.placement.actions import moving
from dana.services.placement.models.moves import Move, MoveId, MoveState, Step
from tests.services.placement.grounds import Grounds, drive_to_death, silent

pytestmark = pytest.mark.xdist_group("placement")

_DEDICATE = "update platform.shards set dedicated_to = $1 where name = 'shard3'"
_PLACE = "insert into platform.org_placement (org_id, epoch, state) values ($1, 7, 'active')"


@asynccontextmanager
async def migrating(grounds: Grounds) -> AsyncIterator[None]:
    """Hold the lock of a migration that runs."""
    async with administer(grounds.settings.database_url) as server:
        await server.execute("select pg_advisory_lock($1)", LOCK_KEY)
        yield


async def until(grounds: Grounds, move: Move, text: str) -> None:
    """Wait until a move says something."""
    async with asyncio.timeout(20):
        while text not in ((await moving.find(grounds.desk, move.id)).error or ""):
            await asyncio.sleep(0.05)


async def end(grounds: Grounds, *moves: Move) -> None:
    """Abort moves, and let them end."""
    for move in moves:
        await moving.abort(grounds.desk, move.id)
        ended = await moving.drive(grounds.desk, move.id, silent)
        assert ended.state == MoveState.ABORTED


async def test_what_does_not_exist_is_missing(grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    with pytest.raises(Missing, match="shard named shard9"):
        await moving.request(grounds.desk, org_id, "shard9")
    with pytest.raises(Missing, match="organization"):
        await moving.request(grounds.desk, OrgId(new_id()), "shard2")
    for verb in (moving.find, moving.abort, moving.rollback, moving.verify, moving.purge):
        with pytest.raises(Missing, match="move"):
            await verb(grounds.desk, MoveId(new_id()))
    with pytest.raises(Missing, match="move"):
        await moving.drive(grounds.desk, MoveId(new_id()), silent)


async def test_an_organization_moves_once_at_a_time_and_not_to_where_it_lives(grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    with pytest.raises(Conflict, match="lives on shard1"):
        await moving.request(grounds.desk, org_id, "shard1")
    move = await moving.request(grounds.desk, org_id, "shard2")
    with pytest.raises(Conflict, match="on its way already"):
        await moving.request(grounds.desk, org_id, "shard3")
    assert move.id in {one.id for one in await moving.list_moves(grounds.desk, only_open=True)}
    await end(grounds, move)
    assert move.id not in {one.id for one in await moving.list_moves(grounds.desk, only_open=True)}
    assert move.id in {one.id for one in await moving.list_moves(grounds.desk, only_open=False)}


async def test_a_shard_that_is_closed_or_another_ones_takes_nobody_in(grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    try:
        async with grounds.catalog() as catalog:
            await catalog.execute("update platform.shards set is_open = false where name = 'shard2'")
            await catalog.execute(
                "update platform.shards set dedicated_to = $1 where name = 'shard3'", new_id()
            )
        with pytest.raises(Conflict, match="closed"):
            await moving.request(grounds.desk, org_id, "shard2")
        with pytest.raises(Conflict, match="dedicated to another"):
            await moving.request(grounds.desk, org_id, "shard3")
        async with grounds.catalog() as catalog:
            await catalog.execute(
                "update platform.shards set dedicated_to = $1 where name = 'shard3'", org_id
            )
        await end(grounds, await moving.request(grounds.desk, org_id, "shard3"))
    finally:
        async with grounds.catalog() as catalog:
            await catalog.execute("update platform.shards set is_open = true, dedicated_to = null")


async def test_no_move_begins_while_a_migration_runs(grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    async with migrating(grounds):
        with pytest.raises(Conflict, match="migration is running"):
            await moving.request(grounds.desk, org_id, "shard2")
    move = await moving.request(grounds.desk, org_id, "shard2")
    async with migrating(grounds):
        driving = asyncio.create_task(moving.drive(grounds.desk, move.id, silent))
        await until(grounds, move, "Waits for the end of the migration")
        assert await grounds.left_over() == {}
    move = await driving
    assert (move.state, move.error) == (MoveState.VERIFIED, None)


async def test_no_migration_runs_while_an_organization_moves(
    grounds: Grounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = await moving.request(grounds.desk, await grounds.organization("shard1"), "shard2")
    await drive_to_death(grounds, move, Step.HELD)
    assert await migrate(grounds.settings) == 0  # nothing to run is nothing to refuse
    for folder in migrations.SERVICES_DIR.glob("*/migrations"):
        shutil.copytree(folder, tmp_path / folder.parent.name / "migrations")
        (tmp_path / folder.parent.name / "__init__.py").touch()
    for folder in migrations.SERVICES_DIR.glob("*/__init__.py"):
        (tmp_path / folder.parent.name).mkdir(exist_ok=True)
        (tmp_path / folder.parent.name / "__init__.py").touch()
    (tmp_path / "realtime" / "migrations").mkdir(exist_ok=True)
    (tmp_path / "realtime" / "migrations" / "0999_later.sql").write_text("select 1;")
    monkeypatch.setattr(migrations, "SERVICES_DIR", tmp_path)
    with pytest.raises(SchemaHeldError, match=f"{move.org_id} is being moved from shard1 to shard2"):
        await migrate(grounds.settings)
    await end(grounds, move)
    assert await migrate(grounds.settings) == 3
    for name in ("shard1", "shard2", "shard3"):  # so that others find the shards as they were
        async with grounds.on(name) as shard:
            await shard.execute("delete from dana_migrations.applied where number = 999")


async def test_shards_with_other_tables_are_refused(grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    async with grounds.on("shard3") as shard:
        await shard.execute(
            "insert into dana_migrations.applied (owner, number, name, sha256) values ('ai', 999, 'x', 'x')"
        )
        try:
            with pytest.raises(Conflict, match="dana migrate"):
                await moving.request(grounds.desk, org_id, "shard3")
        finally:
            await shard.execute("delete from dana_migrations.applied where number = 999 and owner = 'ai'")


async def test_a_table_whose_rows_would_not_follow_stops_the_move_before_it_begins(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    async with grounds.on("shard1") as shard:
        await shard.execute("create table conversations.odd (id uuid primary key, org_id uuid not null)")
        try:
            move = await moving.request(grounds.desk, office.org_id, "shard2")
            move = await moving.drive(grounds.desk, move.id, silent)
        finally:
            await shard.execute("drop table conversations.odd")
    assert move.state == MoveState.ABORTED
    assert move.error == "The primary key of conversations.odd must begin with org_id."
    await office.write(1)
    assert await grounds.left_over() == {}


async def test_more_than_two_moves_of_one_shard_wait_for_their_turn(grounds: Grounds) -> None:
    org_ids = [await grounds.organization(shard) for shard in ("shard1", "shard3", "shard1")]
    targets = ("shard2", "shard1", "shard3")
    first, second, third = [
        await moving.request(grounds.desk, org_id, target)
        for org_id, target in zip(org_ids, targets, strict=True)
    ]
    for move in (first, second):
        await drive_to_death(grounds, move, Step.HELD)
    waiting = asyncio.create_task(moving.drive(grounds.desk, third.id, silent))
    await until(grounds, third, "Waits for other moves")
    assert (await moving.find(grounds.desk, third.id)).state == MoveState.REQUESTED
    await end(grounds, first)
    third = await waiting
    assert (third.state, third.error) == (MoveState.VERIFIED, None)
    await end(grounds, second)


async def test_the_source_must_know_the_organization(grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    async with grounds.on("shard1") as shard:
        await shard.execute("update platform.org_placement set epoch = 5 where org_id = $1", org_id)
    move = await moving.request(grounds.desk, org_id, "shard2")
    move = await moving.drive(grounds.desk, move.id, silent)
    assert (move.state, move.error) == (
        MoveState.ABORTED,
        "The organization does not work on shard1 at epoch 1.",
    )


async def test_a_target_that_had_the_organization_later_is_left_alone(grounds: Grounds) -> None:
    office = await grounds.furnished("shard1")
    async with grounds.on("shard2") as shard:
        await shard.execute(
            "insert into platform.org_placement (org_id, epoch, state) values ($1, 7, 'active')",
            office.org_id,
        )
    move = await moving.request(grounds.desk, office.org_id, "shard2")
    move = await moving.drive(grounds.desk, move.id, silent)
    assert move.state == MoveState.ABORTED
    assert "later epoch" in (move.error or "")
    assert await grounds.state("shard2", office.org_id) == ("active", 7)
    async with grounds.on("shard2") as shard:
        await shard.execute("delete from platform.org_placement where org_id = $1", office.org_id)


async def test_the_catalog_itself_refuses_a_second_open_move(grounds: Grounds) -> None:
    move = await moving.request(grounds.desk, await grounds.organization("shard1"), "shard2")
    async with grounds.catalog() as catalog:
        with pytest.raises(asyncpg.UniqueViolationError):
            await catalog.execute(
                "insert into placement.moves (id, org_id, source, target, epoch, state)"
                " values ($1, $2, 'shard1', 'shard3', 1, 'requested')",
                new_id(),
                move.org_id,
            )
    await end(grounds, move)
