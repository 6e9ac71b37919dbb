"""Valkey's files in a backup: a snapshot made for it, and the append-only files."""

import asyncio
import shutil
import time
from pathlib import Path

from dana.platform.backup.folder import BackupError
from dana.platform.valkey import CommandError, Valkey

SNAPSHOT = "dump.rdb"
APPENDED = "appendonlydir"
REWRITING = "auto-aof-rewrite-percentage"
SNAPSHOT_SECONDS = 120.0
POLL_SECONDS = 0.05


async def copy_valkey(data_dir: Path, target: Path) -> bool:
    """Copy the files of the embedded server, running or not; False when this installation has none.

    A Valkey elsewhere is not copied: nothing that was acknowledged lives only there.
    """
    home = data_dir / "valkey"
    if not (home / "valkey.conf").is_file():
        return False
    settings = _settings(home / "valkey.conf")
    if not await _is_listening(int(settings["port"])):
        await asyncio.to_thread(_copy, home, target)  # nobody writes to it
        return True
    client = Valkey(f"redis://:{settings['requirepass']}@127.0.0.1:{settings['port']}/0")
    try:
        if not await client.start():
            raise BackupError("Valkey runs and doesn't answer; see logs/valkey.log.")
        await _snapshot(client)
        await _copy_at_rest(client, home, target)
    finally:
        await client.stop()
    return True


def restore_valkey(source: Path, data_dir: Path) -> None:
    """Give a data folder the files of a backup; the server reads them when it starts."""
    home = data_dir / "valkey"
    _copy(source, home)


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def _snapshot(client: Valkey) -> None:
    before = await _persistence(client)
    await client.call("BGSAVE", "SCHEDULE")
    deadline = time.monotonic() + SNAPSHOT_SECONDS
    while True:
        now = await _persistence(client)
        is_newer = now["rdb_saves"] != before["rdb_saves"] and now["rdb_bgsave_in_progress"] == "0"
        if is_newer and now["rdb_last_bgsave_status"] == "ok":
            return
        if time.monotonic() > deadline:
            raise BackupError(f"Valkey made no snapshot in {SNAPSHOT_SECONDS:.0f} s; see logs/valkey.log.")
        await asyncio.sleep(POLL_SECONDS)


async def _copy_at_rest(client: Valkey, home: Path, target: Path) -> None:
    """Copy while the set of append-only files can't change: they are only appended to, never rewritten."""
    (setting,) = (await client.call("CONFIG", "GET", REWRITING)).values()
    await client.call("CONFIG", "SET", REWRITING, "0")
    try:
        deadline = time.monotonic() + SNAPSHOT_SECONDS
        while (await _persistence(client))["aof_rewrite_in_progress"] != "0":
            if time.monotonic() > deadline:
                raise BackupError("Valkey rewrites its append-only file and doesn't end; try again later.")
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.to_thread(_copy, home, target)
    finally:
        await client.call("CONFIG", "SET", REWRITING, setting)


async def _persistence(client: Valkey) -> dict[str, str]:
    try:
        text = await client.call("INFO", "persistence")
    except CommandError as error:
        raise BackupError(f"Valkey can't be asked about its files: {error}.") from None
    lines = [line.partition(":") for line in text.decode().splitlines()]
    return {name: found for name, _, found in lines if found}


def _copy(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    if (source / SNAPSHOT).exists():
        shutil.copy2(source / SNAPSHOT, target / SNAPSHOT)
    if (source / APPENDED).is_dir():
        shutil.copytree(source / APPENDED, target / APPENDED)


def _settings(configuration: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in configuration.read_text().splitlines() if " " in line)
