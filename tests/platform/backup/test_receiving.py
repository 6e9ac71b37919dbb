"""Receiving the log: without a gap over restarts; a gap that can't be avoided is told and ends the chain."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest

from dana.platform.backup import choosing, keeping, receiving, streams
from dana.platform.backup.choosing import Goal
from dana.platform.backup.folder import BackupError, Backups
from dana.platform.backup.streams import Stream
from dana.platform.local.postgres import start_postgres
from dana.platform.local.receiver import OFF
from dana.platform.local.replica import start_replica
from dana.platform.servers import administer
from tests.platform.backup.installation import Installation

PATIENCE_SECONDS = 60


async def test_the_receiver_goes_on_where_it_was_killed_until_it_is_switched_off(
    installation: Installation,
) -> None:
    await installation.take()
    process = receiver(installation)
    try:
        await until_covered(installation, await installation.note("received"))
        with pytest.raises(BackupError, match="Another process already receives"):
            await receiving.Receiver(installation.backups, "catalog", "", 0).receive()
        process.send_signal(signal.SIGKILL)
        process.wait()
        moment = await installation.note("while nobody received")
        await switch_segment(installation)
        process = receiver(installation)
        await until_covered(installation, moment)
        taken = await installation.take()  # beside the receiver
        assert taken.problems == []
        await until(lambda: len(packed(installation)) > 0)
        assert newest(installation).name == "1"
        window = choosing.window(installation.backups, installation.backups.all()[0])
        assert window.problems == ()
        assert window.ends_at > moment

        for name, server in (("catalog", installation.first), ("shard2", installation.second)):
            await receiving.switch_off(installation.backups, name, server.dsn)
            async with administer(server.dsn) as connection:
                assert await connection.fetch("select from pg_replication_slots") == []
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    again = await installation.take()  # switches it on again
    assert again.manifest.kind == "full"
    assert "receiving was switched off" in again.because
    assert not (installation.backups.wal / OFF).exists()


async def test_the_log_goes_on_with_the_new_primary_after_a_fail_over(place: Path) -> None:
    backups = Backups(place / "backups")
    backups.prepare()
    primary = start_postgres(place / "primary")
    replica = start_replica(primary, place / "replica")
    try:
        async with administer(primary.dsn) as connection:
            await receiving.catch_up(backups, "catalog", primary.dsn)
            await connection.execute("create table survivors (n int); select pg_switch_wal()")
            await receiving.catch_up(backups, "catalog", primary.dsn)
            while not await connection.fetchval(
                "select replay_lsn = pg_current_wal_flush_lsn() from pg_stat_replication"
            ):
                await asyncio.sleep(0.05)
        primary.kill()
        promoted = await asyncpg.connect(replica.dsn)
        await promoted.execute("select pg_promote()")
        await promoted.execute("insert into survivors values (1); select pg_switch_wal()")
        await promoted.close()
        stream = await receiving.catch_up(backups, "catalog", replica.dsn)
    finally:
        replica.stop()
        primary.stop()
    assert stream.name == "1"
    first = min(stream.whole())
    path = stream.walk(1, first.number * stream.state.segment_bytes)
    assert not path.is_holed
    assert [segment.timeline for segment in path.segments][:2] == [1, 2]
    assert path.end * stream.state.segment_bytes >= stream.state.covered_lsn


async def test_a_hole_is_told_and_nothing_beyond_it_is_promised(installation: Installation) -> None:
    taken = await installation.take()
    for _ in range(3):
        await switch_segment(installation)
    await installation.catch_up()
    before = choosing.window(installation.backups, taken.manifest)
    stream = newest(installation)
    path = stream.walk(1, taken.manifest.servers["catalog"].stop_lsn)
    missing = path.segments[2]
    stream.path(missing).unlink()

    window = choosing.window(installation.backups, taken.manifest)
    assert window.ends_at < before.ends_at
    assert f"{missing.name(stream.state.segment_bytes)} is missing" in window.problems[0]
    with pytest.raises(BackupError, match="the log has a hole"):
        await installation.restore(Goal(at=before.ends_at))
    (choice, _) = choosing.choose(installation.backups, Goal())  # everything there is, and why not more
    assert choice.log.segments == path.segments[:2]
    assert "hole" in (choice.problem or "")


async def test_log_that_the_server_threw_away_ends_the_chain(installation: Installation) -> None:
    taken = await installation.take()
    async with administer(installation.first.dsn) as connection:
        for _ in range(20):
            await switch_segment(installation)
            await connection.execute("checkpoint")
            status = await connection.fetchval("select wal_status from pg_replication_slots")
            if status == "lost":
                break
    assert status == "lost"

    again = await installation.take()

    assert again.manifest.kind == "full"
    assert "the log of catalog has a gap: the server threw away log" in again.because
    assert again.manifest.servers["catalog"].stream == "2"
    assert again.manifest.servers["shard2"].stream == "1"
    assert "threw away" in choosing.window(installation.backups, taken.manifest).problems[0]
    assert choosing.window(installation.backups, again.manifest).problems == ()


async def test_old_log_goes_first_and_receiving_stops_at_the_limit(installation: Installation) -> None:
    first = await installation.take()
    await switch_segment(installation)
    second = await installation.take()
    await switch_segment(installation)
    await installation.catch_up()
    assert not receiving.is_too_much(installation.backups, "catalog", keeping.MOST_BYTES)
    assert receiving.is_too_much(installation.backups, "catalog", 1)
    # Only what backups before the newest would have needed is gone.
    assert choosing.window(installation.backups, second.manifest).problems == ()
    problems = choosing.window(installation.backups, first.manifest).problems
    assert problems == ("catalog: its log was thrown away to save room",)
    stream = Stream(newest(installation).folder)
    assert min(stream.whole()).number == stream.state.kept_from


async def switch_segment(installation: Installation) -> None:
    """Fill the segment that is being written, and begin the next."""
    async with administer(installation.first.dsn) as connection:
        await connection.execute("select pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()")


def receiver(installation: Installation) -> subprocess.Popen[bytes]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")}
    environment |= {
        "DANA_DATA": str(installation.settings.data_dir),
        "DANA_DATABASE_URL": installation.settings.database_url,
        "DANA_BACKUPS": str(installation.backups.root),
    }
    return subprocess.Popen([sys.executable, "-m", "dana", "backup", "wal"], env=environment)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def until_covered(installation: Installation, moment: datetime) -> None:
    def is_covered() -> bool:
        found = [streams.newest(installation.backups.wal, name) for name in ("catalog", "shard2")]
        return all(s and s.state.covered_until and s.state.covered_until > moment for s in found)

    await until(is_covered)


def newest(installation: Installation) -> Stream:
    stream = streams.newest(installation.backups.wal, "catalog")
    assert stream
    return stream


def packed(installation: Installation) -> list[str]:
    return [path.name for path in newest(installation).folder.glob("*.gz")]
