"""Proves that backups can be restored: by checksums, by the log's continuity, and by doing it."""

import asyncio
import struct
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dana.platform.backup import streams
from dana.platform.backup.choosing import Goal, follow
from dana.platform.backup.folder import BackupError, Backups, Manifest, sha256
from dana.platform.backup.reconciling import Servers
from dana.platform.backup.restoring import Order, Restored, restore
from dana.platform.backup.segments import Segment
from dana.platform.backup.streams import Stream
from dana.platform.backup.tools import Progress, Tell, Tool
from dana.platform.servers import administer

# The header of a segment's first page: magic, flags, timeline, address, remainder, system, segment size.
_HEADER = struct.Struct("<HHIQI4xQI")
CHUNK_BYTES = 1 << 20


@dataclass(slots=True)
class Verified:
    """What was looked at, and what is wrong with it."""

    backup_id: str
    files: int = 0
    segments: int = 0
    problems: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    """Rows counted in each database of the restored copy."""
    restored: Restored | None = None


async def verify(backups: Backups, manifest: Manifest, tell: Tell, *, known_sound: set[str]) -> Verified:
    """Check a backup, all it needs, and the log after it; `known_sound` names files already checked."""
    result = Verified(manifest.id)
    needed: dict[str, Manifest] = {}
    for name, part in manifest.servers.items():
        try:
            needed |= {link.id: link for link in backups.chain(manifest, name)}
        except BackupError as problem:
            result.problems.append(str(problem))
        result.problems += await asyncio.to_thread(_check_log, backups, name, part.stream, result, tell)
        _, gap = follow(backups, name, part)
        if gap:
            result.problems.append(f"{name}: {gap}")
    needed[manifest.id] = manifest
    for one in needed.values():
        if one.id not in known_sound:
            problems = await asyncio.to_thread(_check_files, backups, one, result, tell)
            problems += await _ask_postgres(backups, one) if not problems else []
            result.problems += problems
            if not problems:
                known_sound.add(one.id)
    return result


async def verify_by_restoring(
    backups: Backups, goal: Goal, tell: Tell, folder: Path | None = None
) -> Verified:
    """Restore into a temporary folder, start everything, read every row; raises BackupError."""
    result = Verified(goal.backup_id or "latest")

    async def read_everything(servers: Servers) -> None:
        for name, dsn in {"catalog": servers.catalog, **servers.shards}.items():
            result.rows[name] = await _count_rows(dsn)
            tell(Progress(f"{name}: read", 1, 1))

    with tempfile.TemporaryDirectory(prefix="dana-verify-", dir=folder) as temporary:
        order = Order(goal, Path(temporary) / "restored", away=Path(temporary) / "away")
        _let_in(Path(temporary))
        restored = await restore(backups, order, tell, read_everything)
    result.restored = restored
    result.backup_id = restored.backup_id
    if restored.reconciled:
        result.problems += [f"{v.org_id}: {v.because}" for v in restored.reconciled.plan.undecided]
    return result


def _let_in(folder: Path) -> None:
    """Let PostgreSQL's account pass; what is inside is closed by itself."""
    folder.chmod(0o755)


def _check_files(backups: Backups, manifest: Manifest, result: Verified, tell: Tell) -> list[str]:
    total, done = manifest.size_bytes, 0
    for name, file in manifest.files.items():
        path = backups.path(manifest.id) / name
        if not path.is_file():
            return [f"{manifest.id}: {name} is missing"]
        if sha256(path) != file.sha256:
            return [f"{manifest.id}: {name} was changed since it was written"]
        result.files += 1
        done += file.size_bytes
        tell(Progress(f"{manifest.id}: checksums", done, total))
    return []


async def _ask_postgres(backups: Backups, manifest: Manifest) -> list[str]:
    """Let PostgreSQL compare each file inside with its own list, and see whether the parts fit together."""
    problems = []
    with tempfile.TemporaryDirectory(prefix="dana-verify-") as temporary:
        for name in manifest.servers:
            folder = backups.path(manifest.id) / "servers" / name
            arguments = ["pg_verifybackup", "--format=tar", "--no-parse-wal", str(folder)]
            try:
                await Tool(arguments, Path(temporary) / "verify.log").finish()
            except BackupError as problem:
                problems.append(f"{manifest.id}: {name}: {problem}")
    return problems


def _check_log(backups: Backups, server: str, name: str, result: Verified, tell: Tell) -> Sequence[str]:
    stream = streams.stream(backups.wal, server, name)
    if stream is None:
        return []
    problems = []
    whole = stream.whole()
    for count, segment in enumerate(sorted(whole), 1):
        problem = _check_segment(stream, segment, whole[segment])
        if problem:
            problems.append(f"{server}: {whole[segment]} {problem}")
        result.segments += 1
        tell(Progress(f"{server}: log", count, len(whole)))
    return problems


def _check_segment(stream: Stream, segment: Segment, path: Path) -> str | None:
    """Read a segment to its end (which compares its checksum), and look whether it is the one it says."""
    size, header = 0, b""
    try:
        with streams.open_segment(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                header = header or chunk[: _HEADER.size]
                size += len(chunk)
    except (OSError, EOFError, zlib.error) as error:
        return f"can't be read: {error}"
    if size != stream.state.segment_bytes:
        return f"has {size} bytes instead of {stream.state.segment_bytes}"
    _, _, timeline, page, _, system, _ = _HEADER.unpack(header)
    if page != segment.number * stream.state.segment_bytes or timeline > segment.timeline:
        return "is another part of the log than its name says"
    if str(system) != stream.state.system_identifier:
        return "is of another database cluster"
    return None


async def _count_rows(dsn: str) -> int:
    """Read every row of every table of ours, so that every page is looked at."""
    total = 0
    async with administer(dsn) as connection:
        tables = await connection.fetch(
            "select format('%I.%I', schemaname, tablename) as name from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema') order by 1"
        )
        for table in tables:
            total += await connection.fetchval(f"select count(*) from {table['name']}")  # noqa: S608 - of pg_tables
    return total
