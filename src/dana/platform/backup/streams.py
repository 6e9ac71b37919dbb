"""Streams of the write-ahead log on disk: one for each server and each time it was followed without a gap.

A stream ends when the server threw log away that was still needed, or became another one. The next begins
then, and moments between the two can't be restored.
"""

import gzip
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, cast

import msgspec

from dana.platform.backup.folder import BackupError, sync_folder, write_durably
from dana.platform.backup.segments import (
    Fork,
    Segment,
    Walk,
    read_forks,
    segment_named,
    walk,
)

STATE = "stream.json"
MARKS = "marks.txt"
MARK_WORDS = 2
MARK_EVERY = timedelta(minutes=1)
GZIP_LEVEL = 1  # three quarters of the saving for a third of the time
PACKED = ".gz"
BEGUN = ".partial"  # as pg_receivewal names the segment it writes


class StreamState(msgspec.Struct, forbid_unknown_fields=True):
    """What is known about a stream."""

    system_identifier: str
    segment_bytes: int
    began_at: datetime
    covered_until: datetime | None = None
    """The server's time up to which every commit is in the stream."""
    covered_lsn: int = 0
    kept_from: int = 0
    """The first segment that has not been thrown away on purpose."""
    ended_because: str | None = None


class Stream:
    """One stream: segments of the log, and what is known about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._marked_at: datetime | None = None
        try:
            self.state = msgspec.json.decode((folder / STATE).read_bytes(), type=StreamState)
        except (OSError, msgspec.MsgspecError) as error:
            raise BackupError(f"{folder / STATE} can't be read: {error}.") from None

    @classmethod
    def begin(cls, server: Path, system_identifier: str, segment_bytes: int) -> "Stream":
        """Begin the next stream of a server."""
        number = max((int(stream.name) for stream in _numbered(server)), default=0) + 1
        folder = server / str(number)
        folder.mkdir(parents=True, mode=0o700)
        state = StreamState(system_identifier, segment_bytes, datetime.now(UTC))
        write_durably(folder / STATE, msgspec.json.encode(state))
        sync_folder(server)
        return cls(folder)

    @property
    def name(self) -> str:
        """Name the stream within its server."""
        return self.folder.name

    @property
    def server(self) -> str:
        """Name the server."""
        return self.folder.parent.name

    @property
    def is_open(self) -> bool:
        """Whether it may still grow."""
        return self.state.ended_because is None

    @property
    def size_bytes(self) -> int:
        """What it takes on disk."""
        return sum(entry.stat().st_size for entry in os.scandir(self.folder) if entry.is_file())

    def save(self) -> None:
        """Write what is known."""
        write_durably(self.folder / STATE, msgspec.json.encode(self.state))

    def end(self, because: str) -> None:
        """Say that the stream can't go on, and why."""
        self.state.ended_because = because
        self.save()

    def cover(self, until: datetime, lsn: int) -> None:
        """Note that everything up to a moment is here; call `save` from time to time."""
        self.state.covered_until, self.state.covered_lsn = until, lsn
        if self._marked_at is None or until - self._marked_at >= MARK_EVERY:
            self._marked_at = until
            with (self.folder / MARKS).open("a") as file:
                file.write(f"{until.isoformat()} {lsn}\n")

    def marks(self) -> list[tuple[datetime, int]]:
        """Return moments and up to where their commits are: what counts when a later part is lost."""
        try:
            lines = [line.split() for line in (self.folder / MARKS).read_text().splitlines()]
        except OSError:
            return []
        return [(datetime.fromisoformat(line[0]), int(line[1])) for line in lines if len(line) == MARK_WORDS]

    def whole(self) -> dict[Segment, Path]:
        """Return the segments that were received to their end."""
        found = {}
        for path in self.folder.iterdir():
            if path.suffix in ("", PACKED):
                segment = segment_named(path.name.removesuffix(PACKED), self.state.segment_bytes)
                if segment:
                    found[segment] = path
        return found

    def begun(self) -> dict[Segment, Path]:
        """Return the segments that were not received to their end; normally one."""
        names = {path: path.name.removesuffix(BEGUN) for path in self.folder.glob(f"*{BEGUN}")}
        found = {path: segment_named(name, self.state.segment_bytes) for path, name in names.items()}
        return {segment: path for path, segment in found.items() if segment}

    def history_files(self) -> list[Path]:
        """Return the files that say which timeline forks from which."""
        return sorted(self.folder.glob("*.history"))

    def histories(self) -> dict[int, list[Fork]]:
        """Return for each timeline how it came about."""
        return {int(path.stem, 16): read_forks(path.read_text()) for path in self.history_files()}

    def walk(self, timeline: int, lsn: int) -> Walk:
        """Follow the log from a position on."""
        size = self.state.segment_bytes
        start = Segment(lsn // size, timeline)
        return walk(start, self.whole(), self.begun(), self.histories(), size)

    def path(self, segment: Segment) -> Path:
        """Return the file of a segment; one received to its end comes first."""
        name = segment.name(self.state.segment_bytes)
        for candidate in (f"{name}{PACKED}", name, f"{name}{BEGUN}"):
            if (self.folder / candidate).exists():
                return self.folder / candidate
        raise BackupError(f"{name} is missing in {self.folder}.")

    def prune(self, keep_from: int) -> int:
        """Throw away segments before one; returns how many bytes that gave back."""
        if keep_from <= self.state.kept_from:
            return 0
        old = [path for s, path in {**self.whole(), **self.begun()}.items() if s.number < keep_from]
        if old:
            self.state.kept_from = keep_from
            self.save()  # first, so that what is missing afterwards isn't taken for a gap
        freed = sum(path.stat().st_size for path in old)
        for path in old:
            path.unlink()
        first = keep_from * self.state.segment_bytes
        kept = [f"{moment.isoformat()} {lsn}\n" for moment, lsn in self.marks() if lsn >= first]
        write_durably(self.folder / MARKS, "".join(kept).encode())
        return freed


def streams(wal: Path, server: str) -> list[Stream]:
    """Return a server's streams, oldest first."""
    return [Stream(folder) for folder in _numbered(wal / server)]


def newest(wal: Path, server: str) -> Stream | None:
    """Return the stream of a server that began last."""
    folders = _numbered(wal / server)
    return Stream(folders[-1]) if folders else None


def stream(wal: Path, server: str, name: str) -> Stream | None:
    """Return one stream of a server, if it is still there."""
    folder = wal / server / name
    return Stream(folder) if (folder / STATE).exists() else None


def pack(stream_: Stream, is_wanted: Callable[[], bool] = lambda: True) -> int:
    """Compress the segments that were received to their end; returns how many. Safe to interrupt."""
    packed = 0
    for path in sorted(path for path in stream_.whole().values() if path.suffix != PACKED):
        if not is_wanted():
            break
        _pack(path)
        packed += 1
    return packed


def unpack(path: Path, target: Path, size: int) -> None:
    """Write a segment as PostgreSQL reads it: uncompressed, and filled up with zeros to its full size."""
    try:
        with open_segment(path) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
            file.truncate(size)
    except (OSError, EOFError) as error:
        raise BackupError(f"{path} can't be read: {error}.") from None


def open_segment(path: Path) -> IO[bytes]:
    """Open a segment's content, compressed or not."""
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == PACKED else path.open("rb")


def _pack(path: Path) -> None:
    target = path.with_name(f"{path.name}{PACKED}")
    temporary = path.with_name(f"{path.name}.packing")
    with path.open("rb") as source, temporary.open("wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", compresslevel=GZIP_LEVEL, mtime=0) as packed:
            shutil.copyfileobj(source, packed, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(target)
    sync_folder(path.parent)
    path.unlink()


def _numbered(server: Path) -> list[Path]:
    folders = [path for path in server.iterdir() if path.name.isdigit()] if server.is_dir() else []
    return sorted(folders, key=lambda path: int(path.name))
