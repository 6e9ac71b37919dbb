"""Takes a backup of everything: each server full, or only what has changed since the last one."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import asyncpg
import msgspec

from dana.platform.backup import receiving, retention, streams
from dana.platform.backup.folder import (
    FORMAT,
    PARTIAL,
    BackupError,
    Backups,
    Kind,
    Manifest,
    ServerPart,
    measure,
)
from dana.platform.backup.retention import Removed
from dana.platform.backup.segments import parse_lsn
from dana.platform.backup.streams import Stream
from dana.platform.backup.tools import Progress, Tell, Tool, login
from dana.platform.backup.valkey import copy_valkey
from dana.platform.database import address, hosts, login_of
from dana.platform.local.receiver import OFF
from dana.platform.servers import CATALOG, administer, server_addresses, shard_addresses
from dana.platform.settings import Settings

FULL_EVERY = timedelta(days=7)
KEPT_FULL = 2  # one whole chain stays even while the next is young
SERVERS_AT_ONCE = 2
PASSWORDS = ("postgres.password", "valkey.password")
OWN_TABLESPACES = 2  # pg_default and pg_global

_SERVER = """
select (select system_identifier::text from pg_control_system()) as system_identifier,
       current_setting('server_version') as version, clock_timestamp() as at,
       (select setting::bigint from pg_settings where name = 'wal_segment_size') as segment_bytes,
       current_setting('summarize_wal') = 'on' as can_increment,
       (select count(*) from pg_tablespace) as tablespaces,
       (select sum(pg_database_size(oid))::bigint from pg_database) as bytes"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asked for."""

    full: bool = False
    keep: int = KEPT_FULL
    with_secrets: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """A finished backup, why it is of its kind, and what went for it."""

    manifest: Manifest
    because: str
    removed: Removed
    problems: list[str]
    """What went wrong without making the backup itself worthless."""


@dataclass(frozen=True, slots=True)
class _Reports:
    tell: Tell
    problems: list[str]


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    dsn: str
    databases: dict[str, str]
    stream: Stream


async def take(settings: Settings, backups: Backups, wish: Wish, tell: Tell) -> Taken:
    """Take a backup of every server, Valkey and the secrets; raises BackupError, and then leaves nothing."""
    backups.prepare()
    with backups.locked():
        backups.clear_partial()
        (backups.wal / OFF).unlink(missing_ok=True)
        began_at = datetime.now(UTC)
        backup_id = began_at.strftime("%Y%m%dT%H%M%SZ")
        while backups.path(backup_id).exists():
            backup_id += "b"
        sources = await _sources(settings, backups)
        problems: list[str] = []
        before, because = _continued(backups, sources, wish, began_at)
        partial = backups.root / f"{PARTIAL}{backup_id}"
        (partial / "servers").mkdir(parents=True)
        try:
            parts = await _take_servers(backups, sources, before, partial, _Reports(tell, problems))
            has_valkey = await copy_valkey(settings.data_dir, partial / "valkey")
            if wish.with_secrets:
                copy_secrets(secrets_folder(settings.data_dir), settings.data_dir, partial / "secrets")
            manifest = Manifest(
                format=FORMAT,
                id=backup_id,
                kind=_kind(parts),
                needs=before.id if before and _kind(parts) == "incremental" else None,
                began_at=began_at,
                ended_at=datetime.now(UTC),
                dana_version=version("dana"),
                servers=parts,
                has_valkey=has_valkey,
                has_secrets=wish.with_secrets,
                files=await asyncio.to_thread(measure, partial),
            )
            backups.write(manifest, partial)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        if before and manifest.kind == "full":
            because = "no server could tell what has changed"
        return Taken(manifest, because, retention.apply(backups, wish.keep), problems)


def secrets_folder(data_dir: Path) -> Path:
    """Return where the installation's keys are."""
    return Path(os.environ.get("DANA_SECRETS", str(data_dir / "secrets")))


def copy_secrets(secrets: Path, data_dir: Path, target: Path) -> None:
    """Copy the keys and the passwords of the embedded servers; nobody but the owner may read them."""
    target.mkdir(mode=0o700)
    files = [*secrets.iterdir(), *(data_dir / name for name in PASSWORDS)]
    for file in files:
        if file.is_file():
            shutil.copyfile(file, target / file.name)
            (target / file.name).chmod(0o600)


async def _sources(settings: Settings, backups: Backups) -> list[_Source]:
    shards = await shard_addresses(settings)
    databases = {"catalog": address(settings.database_url, database=CATALOG)} | shards
    found = []
    for name, dsn in (await server_addresses(settings)).items():
        here = {n: _database(url) for n, url in databases.items() if set(hosts(url)) == set(hosts(dsn))}
        async with administer(dsn) as connection:
            row = await connection.fetchrow(_SERVER)
            if row and row["tablespaces"] > OWN_TABLESPACES:
                raise BackupError(
                    f"The server {name} has tablespaces of its own, which Dana doesn't back up; "
                    "use that server's own backups, and `dana backup reconcile` after restoring one."
                )
            stream = await receiving.prepare(backups, name, connection)
        found.append(_Source(name, dsn, here, stream))
    return found


def _continued(
    backups: Backups, sources: Sequence[_Source], wish: Wish, now: datetime
) -> tuple[Manifest | None, str]:
    """Return the backup to continue, or None, and the reason for a full one."""
    sound = backups.sound()
    full = next((manifest for manifest in reversed(sound) if manifest.kind == "full"), None)
    if full is None:
        return None, "there is no sound full backup yet"
    if wish.full:
        return None, "a full one was asked for"
    if now - full.began_at > FULL_EVERY:
        return None, f"the last full one is older than {FULL_EVERY.days} days"
    before = sound[-1]
    for source in sources:
        part = before.servers.get(source.name)
        if part is None:
            return None, f"the server {source.name} is new"
        if part.stream != source.stream.name:
            old = streams.stream(backups.wal, source.name, part.stream)
            why = old.state.ended_because if old else "its log is gone"
            return None, f"the log of {source.name} has a gap: {why}"
    return before, f"it continues {before.id}"


async def _take_servers(
    backups: Backups, sources: Sequence[_Source], before: Manifest | None, partial: Path, reports: _Reports
) -> dict[str, ServerPart]:
    turns = asyncio.Semaphore(SERVERS_AT_ONCE)

    async def take_one(source: _Source) -> ServerPart:
        async with turns:
            return await _take_server(backups, source, before, partial / "servers" / source.name, reports)

    tasks = [asyncio.create_task(take_one(source)) for source in sources]
    try:
        parts = await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    return {source.name: part for source, part in zip(sources, parts, strict=True)}


async def _take_server(
    backups: Backups, source: _Source, before: Manifest | None, target: Path, reports: _Reports
) -> ServerPart:
    async with administer(source.dsn) as connection:
        row = await connection.fetchrow(_SERVER)
        assert row is not None  # noqa: S101 - a select without a table always has one
        older = before if row["can_increment"] else None
        try:
            await _copy_cluster(backups, source, older, target, reports.tell)
        except BackupError as problem:
            if older is None:
                raise
            reports.problems.append(
                f"{source.name} is full after all, it could not tell what has changed: {problem}"
            )
            older = None
            shutil.rmtree(target, ignore_errors=True)
            await _copy_cluster(backups, source, None, target, reports.tell)
        ended_at = await connection.fetchval("select clock_timestamp()")
    try:
        stream = await receiving.catch_up(backups, source.name, source.dsn)
    except BackupError as problem:
        stream = source.stream  # the copy brings the log along that it needs itself
        reports.problems.append(str(problem))
    return msgspec.structs.replace(_part(source, row, target, older, ended_at), stream=stream.name)


async def _copy_cluster(
    backups: Backups, source: _Source, before: Manifest | None, target: Path, tell: Tell
) -> None:
    known = login(source.dsn)
    arguments = ["pg_basebackup", "-d", known.address, "--no-password", "-D", str(target), "--format=tar"]
    arguments += ["--compress=client-gzip:1", "--wal-method=stream", "--checkpoint=fast", "--progress"]
    arguments += ["--label=dana"]
    if before:
        arguments.append(f"--incremental={_postgres_manifest(backups, before, source.name)}")
    log = target.with_name(f"{source.name}.log")
    tool = Tool(arguments, log, known.environment)
    await tool.finish(lambda lines: _tell_progress(source.name, lines, tell))
    log.unlink()
    size = _size(target)
    tell(Progress(source.name, size, size))  # an incremental copy ends long before the estimate


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _tell_progress(server: str, lines: list[str], tell: Tell) -> None:
    """Read what pg_basebackup says: `12345/67890 kB (18%), 0/1 tablespace`."""
    for line in reversed(lines):
        numbers, found, _ = line.strip().partition(" kB")
        done, slash, total = numbers.partition("/")
        if found and slash and done.strip().isdigit() and total.isdigit():
            tell(Progress(server, int(done) * 1024, int(total) * 1024))
            return


def _part(
    source: _Source, row: asyncpg.Record, target: Path, before: Manifest | None, ended_at: datetime
) -> ServerPart:
    ranges = msgspec.json.decode((target / "backup_manifest").read_bytes())["WAL-Ranges"]
    return ServerPart(
        kind="incremental" if before else "full",
        needs=before.id if before else None,
        administrator=login_of(source.dsn)[0],
        databases=source.databases,
        system_identifier=row["system_identifier"],
        version=row["version"],
        segment_bytes=row["segment_bytes"],
        timeline=ranges[0]["Timeline"],
        start_lsn=min(parse_lsn(one["Start-LSN"]) for one in ranges),
        stop_lsn=max(parse_lsn(one["End-LSN"]) for one in ranges),
        began_at=row["at"],
        ended_at=ended_at,
        stream=source.stream.name,
        cluster_bytes=row["bytes"],
    )


def _postgres_manifest(backups: Backups, manifest: Manifest, server: str) -> Path:
    return backups.path(manifest.id) / "servers" / server / "backup_manifest"


def _kind(parts: dict[str, ServerPart]) -> Kind:
    return "full" if all(part.kind == "full" for part in parts.values()) else "incremental"


def _database(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]
