"""What was lost comes back as it was at a moment, on the catalog and on every shard; nothing later does."""

from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from dana.contracts.ids import OrgId
from dana.platform.backup import choosing
from dana.platform.backup.choosing import Goal
from dana.platform.backup.folder import BackupError
from dana.platform.backup.placement import Route
from dana.platform.backup.reconciling import Servers, point, reconcile, survey
from dana.platform.database import address
from dana.platform.local.postgres import start_postgres
from dana.platform.local.valkey import start_valkey
from dana.platform.migrations import plan
from dana.platform.servers import administer
from dana.platform.valkey import Valkey
from tests.platform.backup.installation import Installation, notes, reached_as, settings_of


async def test_everything_comes_back_as_it_was_at_a_moment(installation: Installation) -> None:
    await remember(installation.valkey.url, "kept")
    await installation.note("before the full backup")
    first = await installation.take()
    await installation.note("before the incremental one")
    second = await installation.take()
    moment = await installation.note("only in the log")
    await destroy(installation)
    await installation.catch_up()
    assert (first.manifest.kind, second.manifest.kind) == ("full", "incremental")
    assert second.manifest.size_bytes * 4 < first.manifest.size_bytes

    restored = await installation.restore(Goal(at=moment))

    data = installation.home / "restored"
    catalog, valkey = start_postgres(data), start_valkey(data)
    shard = start_postgres(data / "servers" / "shard2")
    shard_dsn = reached_as(installation.second.dsn, shard.dsn, "dana_shard2")
    try:
        everything = ["before the full backup", "before the incremental one", "only in the log"]
        databases = [address(catalog.dsn, database=name) for name in ("dana_catalog", "dana_shard1")]
        assert [await notes(dsn) for dsn in (*databases, shard_dsn)] == [everything] * 3
        assert await recall(valkey.url) == b"kept"
        settings = settings_of(installation, catalog.dsn, data)
        assert settings.secrets.root == installation.settings.secrets.root
        with pytest.raises(FileNotFoundError):  # it can't reach the live shard, until it is told of another
            await plan(settings)
        assert await point(settings, "shard2", address(shard_dsn, database="postgres")) == ["shard2"]
        assert await plan(settings) == []
    finally:
        for server in (shard, valkey, catalog):
            server.stop()
    assert restored.reconciled
    assert restored.reconciled.plan.is_clean


async def test_a_moment_after_the_last_commit_and_the_latest(installation: Installation) -> None:
    await installation.take()
    moment = await installation.note("the last one")
    await installation.catch_up()
    (manifest,) = installation.backups.all()
    window = choosing.window(installation.backups, manifest)
    assert window.ends_at > moment

    for goal in (Goal(at=window.ends_at), Goal()):
        name = "latest" if goal.at is None else "after"
        await installation.restore(goal, name, servers=("shard2",))
        server = start_postgres(installation.home / name / "servers" / "shard2")
        dsn = reached_as(installation.second.dsn, server.dsn, "dana_shard2")
        assert await notes(dsn) == ["the last one"]
        server.stop()

    with pytest.raises(BackupError, match=r"The log of catalog reaches to 2.*`--to latest`"):
        await installation.restore(Goal(at=window.ends_at + timedelta(seconds=1)), "too late")
    with pytest.raises(BackupError, match="The oldest moment that can be restored is"):
        await installation.restore(Goal(at=window.begins_at - timedelta(hours=1)), "too early")
    with pytest.raises(BackupError, match="is not empty; restore into a new folder"):
        await installation.restore(Goal(), "latest")
    assert not (installation.home / "too late").exists()


async def test_backups_go_on_after_a_restore_in_the_same_folder(installation: Installation) -> None:
    """The restored servers are on another timeline, which forks off from that of the lost ones."""
    await installation.take()
    moment = await installation.note("kept")
    await installation.note("lost on purpose")
    await installation.catch_up()
    await installation.restore(Goal(at=moment), "first")
    data = installation.home / "first"
    catalog, shard = start_postgres(data), start_postgres(data / "servers" / "shard2")
    settings = settings_of(installation, catalog.dsn, data)
    await point(settings, "shard2", reached_as(installation.second.dsn, shard.dsn, "postgres"))
    again = replace(installation, settings=settings)
    try:
        taken = await again.take()
        # The copies have no summaries of the log, so they can't tell what has changed.
        assert (taken.manifest.kind, taken.because) == ("full", "no server could tell what has changed")
        later = await again.note("after the restore")
        await again.catch_up()
        window = choosing.window(installation.backups, installation.backups.all()[-1])
        assert window.problems == ()
        assert window.ends_at > later
    finally:
        shard.stop()
        catalog.stop()
    await installation.restore(Goal(at=later), "second", servers=("shard2",))
    server = start_postgres(installation.home / "second" / "servers" / "shard2")
    found = await notes(reached_as(installation.second.dsn, server.dsn, "dana_shard2"))
    server.stop()
    assert found == ["after the restore", "kept"]


async def test_who_had_moved_away_does_not_come_back_with_its_old_shard(installation: Installation) -> None:
    org_id = await installation.place("shard2")
    await installation.take()
    moment = await installation.note("before the move")
    await installation.move(org_id, "shard2", "shard1", epoch=1)
    await installation.catch_up()
    restored = await installation.restore(Goal(at=moment), servers=("shard2",))
    assert restored.reconciled is None  # the catalog lives on

    server = start_postgres(installation.home / "restored" / "servers" / "shard2")
    servers = await installation.servers()
    mixed = Servers(
        servers.catalog,
        {**servers.shards, "shard2": reached_as(installation.second.dsn, server.dsn, "dana_shard2")},
    )
    try:
        seen = await survey(mixed)
        (verdict,) = [verdict for verdict in seen.plan.verdicts if verdict.org_id == org_id]
        assert verdict.owner == Route("shard1", 2)
        await reconcile(mixed)
        with pytest.raises(asyncpg.PostgresError, match="is not here at epoch 1"):
            await begin(mixed.shards["shard2"], org_id, 1)
        await begin(mixed.shards["shard1"], org_id, 2)
        assert org_id in {copy.org_id for copy in (await survey(mixed)).plan.leftovers}
    finally:
        server.stop()


async def test_a_move_that_was_under_way_is_ended_and_never_goes_on(installation: Installation) -> None:
    """The restored subscription would copy from the live server, and the hold would stop all migrations."""
    org_id = await installation.place("shard1")
    await installation.set_placement(org_id, "shard2", 2, "importing")
    servers = await installation.servers()
    async with administer(servers.shards["shard1"]) as source:
        await source.execute("create publication dana_move_1 for table platform.org_cursor")
        await source.execute("insert into platform.move_markers values ($1, $1)", org_id)
    async with administer(servers.shards["shard2"]) as target:
        await target.execute(
            "create subscription dana_move_1 connection 'host=127.0.0.1 port=1' publication dana_move_1"
            " with (connect = false, slot_name = 'dana_move_1')"
        )
    async with administer(servers.catalog) as catalog:
        await catalog.execute("insert into platform.schema_holds values ('move', 'An organization moves.')")
        await catalog.execute(
            "insert into placement.moves (id, org_id, source, target, epoch, state)"
            " values ($1, $1, 'shard1', 'shard2', 1, 'copying')",
            org_id,
        )
    taken = await installation.take()
    async with administer(servers.shards["shard2"]) as target:
        await target.execute("alter subscription dana_move_1 set (slot_name = none)")
        await target.execute("drop subscription dana_move_1")

    restored = await installation.restore(Goal(backup_id=taken.manifest.id))

    assert restored.reconciled
    assert restored.reconciled.moves == 1
    assert restored.reconciled.subscriptions == ["dana_move_1"]
    (verdict,) = [v for v in restored.reconciled.plan.verdicts if v.org_id == org_id]
    assert verdict.owner == Route("shard1", 3)
    catalog_server = start_postgres(installation.home / "restored")
    shard_server = start_postgres(installation.home / "restored" / "servers" / "shard2")
    shard_dsn = reached_as(installation.second.dsn, shard_server.dsn, "dana_shard2")
    try:
        async with administer(address(catalog_server.dsn, database="dana_shard1")) as source:
            assert await source.fetchval("select count(*) from pg_publication") == 0
            assert await source.fetchval("select count(*) from platform.move_markers") == 0
        async with administer(shard_dsn) as target:
            assert await target.fetchval("select count(*) from pg_subscription") == 0
        async with administer(address(catalog_server.dsn, database="dana_catalog")) as catalog:
            assert await catalog.fetchval("select count(*) from platform.schema_holds") == 0
            assert await catalog.fetchval("select state from placement.moves") == "aborted"
        await begin(address(catalog_server.dsn, database="dana_shard1"), org_id, 3)
    finally:
        shard_server.stop()
        catalog_server.stop()


async def destroy(installation: Installation) -> None:
    """What somebody did by mistake, in every database."""
    servers = await installation.servers()
    async with administer(servers.catalog) as connection:
        await connection.execute("delete from public.notes where text like 'before%'")
    async with administer(servers.shards["shard1"]) as connection:
        await connection.execute("drop table public.notes")
    async with administer(servers.shards["shard2"]) as connection:
        await connection.execute("update public.notes set text = 'changed'")
    await installation.note("afterwards")


async def begin(dsn: str, org_id: OrgId, epoch: int) -> None:
    """Begin a transaction as a service does."""
    async with administer(dsn) as connection, connection.transaction():
        await connection.execute("select platform.begin_org($1, $2)", org_id, epoch)


async def remember(url: str, text: str) -> None:
    client = Valkey(url)
    assert await client.start()
    await client.call("SET", "backup-test", text)
    await client.stop()


async def recall(url: str) -> object:
    client = Valkey(url)
    assert await client.start()
    try:
        return await client.call("GET", "backup-test")
    finally:
        await client.stop()
