"""The folder of all backups: what each contains, which are sound, and who works in it at the moment."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

FORMAT = 1
MANIFEST = "manifest.json"
PARTIAL = "partial-"
HASH_CHUNK_BYTES = 1 << 20

Kind = Literal["full", "incremental"]


class BackupError(RuntimeError):
    """One clear sentence for the operator."""


class StoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a backup as it was written."""

    size_bytes: int
    sha256: str


class ServerPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One PostgreSQL server in a backup. Times are of the server's own clock."""

    kind: Kind
    needs: str | None
    """The backup whose part of this server is continued here; None when it is full."""
    administrator: str
    databases: dict[str, str]
    """The database of the catalog and of each shard on this server, by its name."""
    system_identifier: str
    version: str
    segment_bytes: int
    timeline: int
    start_lsn: int
    stop_lsn: int
    began_at: datetime
    ended_at: datetime
    stream: str
    """The stream of the write-ahead log that goes on from here."""
    cluster_bytes: int
    """The size of the server's files, uncompressed."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All about one backup."""

    format: int
    id: str
    kind: Kind
    needs: str | None
    began_at: datetime
    ended_at: datetime
    dana_version: str
    servers: dict[str, ServerPart]
    has_valkey: bool
    has_secrets: bool
    files: dict[str, StoredFile]

    @property
    def size_bytes(self) -> int:
        """What it takes on disk."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def settled_at(self) -> datetime:
        """The earliest moment it can be restored to: every server's copy is consistent from here on."""
        return max(part.ended_at for part in self.servers.values())


class Backups:
    """A folder of backups."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def wal(self) -> Path:
        """Where the streams of the write-ahead log are."""
        return self.root / "wal"

    def path(self, backup_id: str) -> Path:
        """Return the folder of one backup."""
        return self.root / backup_id

    def prepare(self) -> None:
        """Make the folder; only its owner may read it, because it holds keys."""
        self.wal.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.chmod(0o700)

    def all(self) -> list[Manifest]:
        """Return every finished backup, oldest first."""
        files = sorted(self.root.glob(f"*/{MANIFEST}")) if self.root.is_dir() else []
        read = [_read(file) for file in files if not file.parent.name.startswith(PARTIAL)]
        return sorted((m for m in read if isinstance(m, Manifest)), key=lambda m: (m.began_at, m.id))

    def unreadable(self) -> list[str]:
        """Say of each manifest that can't be read why."""
        files = sorted(self.root.glob(f"*/{MANIFEST}"))
        return [problem for problem in map(_read, files) if isinstance(problem, str)]

    def sound(self) -> list[Manifest]:
        """Return the backups that have all their files, back to a full one; oldest first."""
        every = self.all()
        faults = {manifest.id: self.fault(manifest) for manifest in every}
        good: dict[str, Manifest] = {}
        for manifest in every:
            if faults[manifest.id] is None and (manifest.needs is None or manifest.needs in good):
                good[manifest.id] = manifest
        return list(good.values())

    def get(self, backup_id: str) -> Manifest:
        """Return one backup; raises BackupError when there is none of this name."""
        file = self.path(backup_id) / MANIFEST
        if not file.is_file():
            raise BackupError(f"There is no backup named {backup_id}; see `dana backup list`.")
        manifest = _read(file)
        if isinstance(manifest, str):
            raise BackupError(manifest)
        return manifest

    def fault(self, manifest: Manifest) -> str | None:
        """Say what is missing of a backup itself, by names and sizes only."""
        for name, file in manifest.files.items():
            path = self.path(manifest.id) / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != file.size_bytes:
                return f"{name} has {path.stat().st_size} bytes instead of {file.size_bytes}"
        return None

    def chain(self, manifest: Manifest, server: str) -> list[Manifest]:
        """Return the backups whose parts make up one server, the full one first; raises BackupError."""
        links = [manifest]
        while (needs := links[0].servers[server].needs) is not None:
            links.insert(0, self.get(needs))
        return links

    def clear_partial(self) -> None:
        """Remove what interrupted runs have left."""
        for folder in self.root.glob(f"{PARTIAL}*"):
            shutil.rmtree(folder)

    def write(self, manifest: Manifest, partial: Path) -> None:
        """Make a backup complete: write its manifest, then give it its name."""
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        write_durably(partial / MANIFEST, text)
        sync_folder(partial)
        partial.rename(self.path(manifest.id))
        sync_folder(self.root)

    @contextmanager
    def locked(self, *, only_reads: bool = False) -> Iterator[None]:
        """Work alone in the folder; raises BackupError when somebody else does.

        Who only reads may do so from a copy that nobody can write to, where there is no lock to take.
        """
        if not self.root.is_dir():
            raise BackupError(f"There is no folder {self.root}; say where the backups are with --folder.")
        if only_reads and not os.access(self.root, os.W_OK):
            yield
            return
        with lock(self.root / "lock") as is_ours:
            if not is_ours:
                raise BackupError("Another `dana backup` works in this folder; try again when it has ended.")
            yield


@contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Try to hold a lock for the length of the block; the kernel releases it however the block ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def measure(folder: Path) -> dict[str, StoredFile]:
    """Return size and checksum of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): StoredFile(path.stat().st_size, sha256(path)) for path in files}


def sha256(path: Path) -> str:
    """Return a file's checksum."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write_durably(path: Path, content: bytes) -> None:
    """Replace a private file in one step, so that nobody ever sees half of it."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(file: Path) -> Manifest | str:
    """Read a manifest, or say why that can't be done: one bad file must not hide the good ones."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        return f"{file} can't be read: {error}."
