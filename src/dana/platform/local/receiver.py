"""The receiver of the write-ahead log beside the servers of one machine; it runs once backups have begun."""

import os
import sys
import time
from pathlib import Path

from dana.platform.local.programs import Program

OFF = "off"  # a file of this name in the log's folder: nothing is received
ALIVE = "alive"  # touched by the receiver again and again
ALIVE_SECONDS = 60.0
STOP_SECONDS = 15.0  # the last of the log is received and written


def backups_folder(data_dir: Path) -> Path:
    """Return where the backups are: DANA_BACKUPS, or a folder of the data folder."""
    return Path(os.environ.get("DANA_BACKUPS", str(data_dir / "backups"))).absolute()


def is_wanted(data_dir: Path) -> bool:
    """Tell whether a first backup was taken, and receiving not switched off since."""
    wal = backups_folder(data_dir) / "wal"
    return any(wal.glob("*/*/stream.json")) and not (wal / OFF).exists()


def receiver_program(data_dir: Path) -> Program:
    """Return the program that receives the log of every server."""
    alive = backups_folder(data_dir) / "wal" / ALIVE
    return Program(
        name="backup",
        command=(sys.executable, "-m", "dana", "backup", "wal", "--data", str(data_dir)),
        is_ready=lambda: _is_fresh(alive),
        environment=dict(os.environ) | {"PYTHONUNBUFFERED": "1"},
        stop_seconds=STOP_SECONDS,
    )


def _is_fresh(alive: Path) -> bool:
    try:
        return time.time() - alive.stat().st_mtime < ALIVE_SECONDS
    except OSError:
        return False
