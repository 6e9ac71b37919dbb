"""Taking backups: complete or not there at all, alone, of the right kind, and no longer kept than needed."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from dana.platform.backup import choosing, watching
from dana.platform.backup.choosing import Goal
from dana.platform.backup.folder import PARTIAL, BackupError, Manifest
from dana.platform.backup.verifying import Verified, verify, verify_by_restoring
from dana.platform.servers import administer
from tests.platform.backup.installation import Installation


async def test_an_interrupted_run_leaves_nothing_and_the_next_one_works(installation: Installation) -> None:
    running = asyncio.create_task(installation.take())
    while not list(installation.backups.root.glob(f"{PARTIAL}*/servers/*/*")):
        await asyncio.sleep(0.005)
    with pytest.raises(BackupError, match="Another `dana backup` works in this folder"):
        await installation.take()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert installation.backups.all() == []
    assert list(installation.backups.root.glob(f"{PARTIAL}*")) == []

    killed = installation.backups.root / f"{PARTIAL}20261124T031209Z"  # what a killed process leaves
    killed.mkdir()
    (killed / "manifest.json").write_text("{}")
    taken = await installation.take()
    assert [manifest.id for manifest in installation.backups.all()] == [taken.manifest.id]
    assert not killed.exists()


async def test_the_manifest_says_everything_and_keys_are_private_or_left_out(
    installation: Installation,
) -> None:
    taken = await installation.take()
    written = json.loads((installation.backups.path(taken.manifest.id) / "manifest.json").read_text())
    assert set(written["servers"]) == {"catalog", "shard2"}
    catalog = written["servers"]["catalog"]
    assert catalog["databases"] == {"catalog": "dana_catalog", "shard1": "dana_shard1"}
    assert catalog["start_lsn"] < catalog["stop_lsn"]
    assert written["files"]["servers/catalog/base.tar.gz"]["size_bytes"] > 1_000_000
    assert {progress.what for progress in installation.told} == {"catalog", "shard2"}
    assert all(0 < progress.done_bytes <= progress.total_bytes for progress in installation.told)

    folder = installation.backups.path(taken.manifest.id) / "secrets"
    names = {"root.key", "member.pem", "visitor.pem", "postgres.password", "valkey.password"}
    assert {path.name for path in folder.iterdir()} == names
    for path in (installation.backups.root, folder, *folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

    taken = await installation.take(with_secrets=False)
    assert not (installation.backups.path(taken.manifest.id) / "secrets").exists()
    assert not taken.manifest.has_secrets


async def test_old_chains_go_with_their_log_and_the_last_good_one_stays(installation: Installation) -> None:
    first = await installation.take()
    continued = await installation.take()
    second = await installation.take(full=True, keep=2)
    assert second.removed.backups == []
    third = await installation.take(full=True, keep=2)
    assert set(third.removed.backups) == {first.manifest.id, continued.manifest.id}
    assert installation.backups.sound() == [second.manifest, third.manifest]
    for name, part in second.manifest.servers.items():
        log = installation.backups.wal / name / part.stream
        segments = sorted(path.name for path in log.glob("0*"))
        assert int(segments[0][8:24], 16) == part.start_lsn // part.segment_bytes
        assert choosing.follow(installation.backups, name, part)[1] is None

    base = installation.backups.path(third.manifest.id) / "servers" / "catalog" / "base.tar.gz"
    base.unlink()  # the newest full one is worthless, so it can't stand for the one before
    fourth = await installation.take(keep=1)
    assert fourth.manifest.kind == "incremental"
    assert fourth.manifest.needs == second.manifest.id
    assert second.manifest in installation.backups.sound()


async def test_a_flipped_byte_is_found_and_never_restored(installation: Installation) -> None:
    taken = await installation.take()
    assert (await check(installation, taken.manifest)).problems == []
    base = installation.backups.path(taken.manifest.id) / "servers" / "shard2" / "base.tar.gz"
    flip(base)
    result = await check(installation, taken.manifest)
    assert result.problems == [
        f"{taken.manifest.id}: servers/shard2/base.tar.gz was changed since it was written"
    ]
    with pytest.raises(BackupError, match="was changed since the backup"):
        await installation.restore(Goal())
    assert not (installation.home / "restored").exists()
    flip(base)

    (segment, *_) = sorted((installation.backups.wal / "catalog" / "1").glob("*.gz"))
    flip(segment, at=100)  # later there are zeros, and several ways to pack them
    result = await check(installation, taken.manifest)
    assert len(result.problems) == 1
    assert segment.name in result.problems[0]
    flip(segment, at=100)
    (installation.backups.path(taken.manifest.id) / "manifest.json").write_text('{"id": 1')
    assert installation.backups.all() == []
    assert "can't be read" in installation.backups.unreadable()[0]


async def test_verifying_by_restoring_reads_everything_and_leaves_nothing(
    installation: Installation, place: Path
) -> None:
    await installation.place("shard1")
    await installation.note("to be read")
    await installation.take()
    result = await verify_by_restoring(installation.backups, Goal(), installation.told.append, place)
    assert result.problems == []
    for name in ("catalog", "shard1", "shard2"):
        async with administer(await installation.dsn(name)) as connection:
            files = await connection.fetchval("select count(*) from dana_migrations.applied")
        assert result.rows[name] >= files + 1
    assert os.listdir(place) == ["backups"]  # noqa: PTH208 - a look, not a walk


async def test_the_metrics_say_how_old_the_newest_sound_backup_and_the_log_are(
    installation: Installation,
) -> None:
    watching.measure(installation.backups)
    assert newest() == 0
    taken = await installation.take()
    await installation.catch_up()
    watching.measure(installation.backups)
    assert newest() == taken.manifest.began_at.timestamp()
    received = {
        sample.labels["server"]: sample.value for sample in next(iter(watching.RECEIVED.collect())).samples
    }
    assert set(received) == {"catalog", "shard2"}
    assert min(received.values()) > newest()

    (installation.backups.path(taken.manifest.id) / "servers" / "shard2" / "base.tar.gz").unlink()
    watching.measure(installation.backups)
    assert newest() == 0


def newest() -> float:
    (sample,) = next(iter(watching.NEWEST.collect())).samples
    return sample.value


async def check(installation: Installation, manifest: Manifest) -> Verified:
    return await verify(installation.backups, manifest, installation.told.append, known_sound=set())


def flip(path: Path, at: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    content[at or len(content) // 2] ^= 1
    path.write_bytes(content)
