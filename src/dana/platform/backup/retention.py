"""Which backups and which part of the log are still needed. Nothing that a kept backup needs ever goes."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from dana.platform.backup import streams
from dana.platform.backup.folder import Backups, Manifest


@dataclass(frozen=True, slots=True)
class Removed:
    """What went."""

    backups: list[str]
    bytes: int


def outdated(every: Sequence[Manifest], sound: Sequence[Manifest], keep: int) -> list[Manifest]:
    """Choose the backups to remove: all that are older than the newest `keep` sound full ones."""
    fulls = [manifest for manifest in sound if manifest.kind == "full"]
    if len(fulls) < keep or not fulls:
        return []
    oldest_kept = fulls[-keep]
    return [m for m in every if (m.began_at, m.id) < (oldest_kept.began_at, oldest_kept.id)]


def apply(backups: Backups, keep: int) -> Removed:
    """Remove what isn't needed any more, the newest of a chain first, then the log before all backups."""
    every = backups.all()
    old = outdated(every, backups.sound(), keep)
    freed = sum(manifest.size_bytes for manifest in old)
    for manifest in reversed(old):
        shutil.rmtree(backups.path(manifest.id))
    kept = [manifest for manifest in every if manifest not in old]
    if kept:
        freed += _prune_log(backups, kept)
    return Removed([manifest.id for manifest in old], freed)


def _prune_log(backups: Backups, kept: list[Manifest]) -> int:
    freed = 0
    for folder in (path for path in backups.wal.iterdir() if path.is_dir()):
        parts = [m.servers[folder.name] for m in kept if folder.name in m.servers]
        every = streams.streams(backups.wal, folder.name)
        for stream in every:
            begins = [part.start_lsn // part.segment_bytes for part in parts if part.stream == stream.name]
            if begins:
                freed += stream.prune(min(begins))
            elif stream is not every[-1]:
                freed += stream.size_bytes
                shutil.rmtree(stream.folder)
    return freed
