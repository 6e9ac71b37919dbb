"""How old the newest backup is, and up to when the log of each server has been received, for the metrics."""

import asyncio
from pathlib import Path

from prometheus_client import Gauge

from dana.platform.backup import streams
from dana.platform.backup.folder import Backups
from dana.platform.jobs import Periodic
from dana.platform.local.receiver import backups_folder

LOOK_SECONDS = 60.0

NEWEST = Gauge(
    "dana_backup_newest_timestamp_seconds", "When the newest sound backup was begun; 0: none here."
)
RECEIVED = Gauge(
    "dana_backup_received_timestamp_seconds", "Up to when every commit is in the received log.", ["server"]
)


def watch(data_dir: Path) -> Periodic:
    """Make the job that keeps the metrics of an installation's backups, whether there are any or not."""
    backups = Backups(backups_folder(data_dir))

    async def look() -> None:
        await asyncio.to_thread(measure, backups)

    return Periodic("watch_backups", LOOK_SECONDS, look)


def measure(backups: Backups) -> None:
    """Set the metrics to what stands on the disk now."""
    sound = backups.sound()
    NEWEST.set(sound[-1].began_at.timestamp() if sound else 0)
    RECEIVED.clear()
    for server in sound[-1].servers if sound else ():
        stream = streams.newest(backups.wal, server)
        if stream and stream.is_open and stream.state.covered_until:
            RECEIVED.labels(server).set(stream.state.covered_until.timestamp())
