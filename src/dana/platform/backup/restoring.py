"""Restores servers into a new data folder: unpack, combine, lay the log beside, replay, set right, hand over.

Nothing carries its final name before everything is done, so an interrupted restore can't be mistaken for one.
"""

import asyncio
import gzip
import secrets
import shutil
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from dana.platform.backup import streams
from dana.platform.backup.choosing import Goal, ServerChoice, choose
from dana.platform.backup.folder import BackupError, Backups, Manifest, sha256, write_durably
from dana.platform.backup.reconciling import (
    Reconciled,
    Servers,
    close_routes,
    end_replication,
    reconcile,
    shards_of,
)
from dana.platform.backup.recovering import Cluster, Target, give_tree
from dana.platform.backup.taking import PASSWORDS
from dana.platform.backup.tools import Progress, Tell, Tool
from dana.platform.backup.valkey import restore_valkey
from dana.platform.local.account import unprivileged_account
from dana.platform.local.postgres import ADMIN, AWAY, find_binaries, home_of, reachable
from dana.platform.secrets import Secrets
from dana.platform.servers import administer

CATALOG_SERVER = "catalog"
WORK = "restoring"
PARTIAL = "restored-partial"
TELL_EVERY_BYTES = 1 << 20
ROOM = 1.1  # what is needed, with some to spare

# A server that kept its settings outside of its data folder gets these; nobody is let in without a password.
_ACCESS = """local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What to restore, and where to."""

    goal: Goal
    data_dir: Path
    servers: tuple[str, ...] = ()
    """Only these; all when empty."""
    away: Path = AWAY
    """Where root's PostgreSQL lives when its account can't reach the data folder."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings of the servers while they are restored; tests forgo waiting for the disk."""


@dataclass(frozen=True, slots=True)
class RestoredServer:
    """One restored server, stopped."""

    name: str
    cluster: Path
    databases: dict[str, str]
    last_commit_at: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has made."""

    data_dir: Path
    backup_id: str
    servers: list[RestoredServer]
    reconciled: Reconciled | None
    """None when the catalog wasn't restored along: then run `dana backup reconcile` on the installation."""
    has_secrets: bool


@dataclass(slots=True)
class _Server:
    choice: ServerChoice
    home: Path
    cluster: Cluster

    @property
    def name(self) -> str:
        return self.choice.name


WhileRunning = Callable[[Servers], Awaitable[None]]


async def _nothing_more(_: Servers) -> None:
    """Do nothing while the restored servers run."""


async def restore(
    backups: Backups, order: Order, tell: Tell, while_running: WhileRunning = _nothing_more
) -> Restored:
    """Restore servers to one moment into a new folder; raises BackupError, and then leaves nothing."""
    data_dir = order.data_dir
    _refuse_what_exists(data_dir)
    made: list[_Server] = []
    is_done = False
    try:
        with backups.locked(only_reads=True):
            choices = choose(backups, order.goal, order.servers)
            _check_room(choices, data_dir)
            for choice in choices:
                await asyncio.to_thread(_check_files, backups, choice, tell)
            for choice in choices:
                made.append(_server(choice, order))
                await _lay(backups, made[-1], tell)
        manifest = choices[0].chain[-1]
        password = _password(backups, manifest)
        keys = Secrets.load(backups.path(manifest.id) / "secrets") if manifest.has_secrets else None
        async with AsyncExitStack() as stack:
            for server in made:
                await stack.enter_async_context(_recovered(server, order.goal, tell))
            reconciled = await _set_right(made, password, keys, while_running)
        if made[0].name == CATALOG_SERVER:
            _hand_over(backups, manifest, data_dir, password)
        is_done = True
        return Restored(
            data_dir, manifest.id, [_publish(server) for server in made], reconciled, manifest.has_secrets
        )
    finally:
        for server in made:
            server.cluster.close()
            if not is_done:
                shutil.rmtree(server.home, ignore_errors=True)
        if not is_done:
            shutil.rmtree(data_dir, ignore_errors=True)


def _refuse_what_exists(data_dir: Path) -> None:
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise BackupError(f"{data_dir} is not empty; restore into a new folder, and keep what you have.")


def _check_room(choices: Sequence[ServerChoice], data_dir: Path) -> None:
    there = next(folder for folder in (data_dir, *data_dir.parents) if folder.exists())
    needed = int(sum(choice.size_bytes for choice in choices) * ROOM)
    free = shutil.disk_usage(there).free
    if free < needed:
        raise BackupError(
            f"The disk with {data_dir} has {free // 2**20} MiB left; "
            f"restoring needs about {needed // 2**20} MiB."
        )


def _check_files(backups: Backups, choice: ServerChoice, tell: Tell) -> None:
    """Compare checksums before anything is built on these files."""
    for manifest in choice.chain:
        folder = backups.path(manifest.id)
        files = {name: file for name, file in manifest.files.items() if _belongs(name, choice.name)}
        total, done = sum(file.size_bytes for file in files.values()), 0
        for name, file in files.items():
            if sha256(folder / name) != file.sha256:
                raise BackupError(f"{folder / name} was changed since the backup; restore an earlier one.")
            done += file.size_bytes
            tell(Progress(f"{choice.name}: check {manifest.id}", done, total))


def _belongs(file: str, server: str) -> bool:
    if not file.startswith("servers/"):
        return server == CATALOG_SERVER
    return file.startswith(f"servers/{server}/")


def _server(choice: ServerChoice, order: Order) -> _Server:
    others = order.data_dir / "servers"
    folder = order.data_dir if choice.name == CATALOG_SERVER else others / choice.name
    folder.mkdir(parents=True, exist_ok=True)
    account = unprivileged_account()
    home = home_of(folder, account, order.away)
    binaries = reachable(find_binaries(), home, account)
    return _Server(choice, home, Cluster(home / PARTIAL, binaries, choice.part.administrator, order.settings))


async def _lay(backups: Backups, server: _Server, tell: Tell) -> None:
    """Make the cluster's files as they were at the backup, with the log that is to be replayed."""
    choice, work, partial = server.choice, server.home / WORK, server.home / PARTIAL
    parts = [await asyncio.to_thread(_unpack, backups, m, choice.name, work, tell) for m in choice.chain]
    if len(parts) == 1:
        parts[0].rename(partial)
    else:
        arguments = ["pg_combinebackup", "--link", "--no-sync", *map(str, parts), "-o", str(partial)]
        await Tool(arguments, server.home / "combine.log").finish()
    shutil.rmtree(work)
    await asyncio.to_thread(_lay_log, backups, choice, partial, tell)
    for name, text in (("postgresql.conf", ""), ("pg_hba.conf", _ACCESS), ("pg_ident.conf", "")):
        if not (partial / name).exists():
            (partial / name).write_text(text)
    partial.chmod(0o700)
    give_tree(partial, unprivileged_account())


def _unpack(backups: Backups, manifest: Manifest, server: str, work: Path, tell: Tell) -> Path:
    source = backups.path(manifest.id) / "servers" / server
    target = work / manifest.id
    target.mkdir(parents=True, mode=0o700)
    _extract(source / "base.tar.gz", target, f"{server}: unpack {manifest.id}", tell)
    shutil.copyfile(source / "backup_manifest", target / "backup_manifest")
    return target


def _extract(archive_path: Path, target: Path, what: str, tell: Tell) -> None:
    total, told = archive_path.stat().st_size, 0
    # Decompressed by itself: the log's archive is several gzip streams in a row, which tarfile can't read.
    with (
        archive_path.open("rb") as raw,
        gzip.open(raw, "rb") as unzipped,
        tarfile.open(fileobj=unzipped, mode="r|") as archive,
    ):
        archive.extraction_filter = _only_files
        for member in archive:
            archive.extract(member, target, set_attrs=False)
            if raw.tell() - told > TELL_EVERY_BYTES:
                told = raw.tell()
                tell(Progress(what, told, total))
    tell(Progress(what, total, total))


def _only_files(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo:
    """Refuse all but files and folders below the target: without tablespaces that is all."""
    is_below = ".." not in Path(member.name).parts and not member.name.startswith("/")
    if not is_below or not (member.isfile() or member.isdir()):
        raise BackupError(f"{member.name} doesn't belong into a backup.")
    return member


def _lay_log(backups: Backups, choice: ServerChoice, cluster: Path, tell: Tell) -> None:
    """Put into pg_wal what the backup brought along, and over it what the stream has."""
    target = cluster / "pg_wal"
    target.mkdir(exist_ok=True, mode=0o700)
    source = backups.path(choice.chain[-1].id) / "servers" / choice.name / "pg_wal.tar.gz"
    _extract(source, target, f"{choice.name}: log of the backup", tell)
    stream, segments = choice.log.stream, choice.log.segments
    if stream is None:
        return
    size = stream.state.segment_bytes
    for count, segment in enumerate(segments, 1):
        streams.unpack(stream.path(segment), target / segment.name(size), size)
        tell(Progress(f"{choice.name}: log", count * size, len(segments) * size))
    for history in stream.history_files():
        shutil.copyfile(history, target / history.name)


@asynccontextmanager
async def _recovered(server: _Server, goal: Goal, tell: Tell) -> AsyncIterator[None]:
    """Replay the log up to the goal, and run the server for the length of the block."""
    log, part = server.choice.log, server.choice.part
    total = max(len(log.segments) * part.segment_bytes, 1)

    async def report() -> None:
        while True:
            await asyncio.sleep(1)
            reached = server.cluster.replayed_lsn()
            if reached is not None:
                done = reached - part.stop_lsn // part.segment_bytes * part.segment_bytes
                tell(Progress(f"{server.name}: replay", min(max(done, 0), total), total))

    reporter = asyncio.create_task(report())
    try:
        target = Target(at=goal.at, at_once=goal.backup_id is not None)
        async with server.cluster.recovered(target, log.reaches or part.ended_at):
            reporter.cancel()
            tell(Progress(f"{server.name}: replay", total, total))
            yield
    finally:
        reporter.cancel()
        await asyncio.gather(reporter, return_exceptions=True)


async def _set_right(
    made: Sequence[_Server], password: str, keys: Secrets | None, while_running: WhileRunning
) -> Reconciled | None:
    """Make all restored servers agree with one another; they are running."""
    dropped = [name for server in made for name in await _forget_running_moves(server)]
    databases = {
        name: server.cluster.dsn(database)
        for server in made
        for name, database in server.choice.part.databases.items()
    }
    catalog = databases.pop(CATALOG_SERVER, None)
    if catalog is None:
        return None
    await _set_administrator(made[0], password)
    if await shards_of(catalog) - set(databases):
        return None  # who lives on a shard that isn't here can't be told
    servers = Servers(catalog, databases)
    reconciled = replace(await reconcile(servers), subscriptions=dropped)
    await while_running(servers)
    for server in made[1:]:
        await close_routes(catalog, server.name, list(server.choice.part.databases), keys)
    return reconciled


async def _set_administrator(server: _Server, password: str) -> None:
    """Let `dana up` in: it signs in by this name, with the password in the data folder."""
    async with administer(server.cluster.dsn("postgres")) as connection:
        if not await connection.fetchval("select 1 from pg_roles where rolname = $1", ADMIN):
            await connection.execute(f"create role {ADMIN} superuser login")
        await connection.execute(f"alter role {ADMIN} password '{password}'")


async def _forget_running_moves(server: _Server) -> list[str]:
    async with administer(server.cluster.dsn("postgres")) as connection:
        rows = await connection.fetch(
            "select datname from pg_database where datallowconn and not datistemplate"
        )
    return await end_replication([server.cluster.dsn(row["datname"]) for row in rows])


def _password(backups: Backups, manifest: Manifest) -> str:
    file = backups.path(manifest.id) / "secrets" / "postgres.password"
    return file.read_text() if file.exists() else secrets.token_urlsafe(24)


def _hand_over(backups: Backups, manifest: Manifest, data_dir: Path, password: str) -> None:
    """Give the data folder everything else: keys, passwords, Valkey's files."""
    write_durably(data_dir / "postgres.password", password.encode())
    source = backups.path(manifest.id)
    if manifest.has_secrets:
        target = data_dir / "secrets"
        target.mkdir(mode=0o700)
        for file in (source / "secrets").iterdir():
            place = data_dir if file.name in PASSWORDS else target
            shutil.copyfile(file, place / file.name)
            (place / file.name).chmod(0o600)
    if manifest.has_valkey:
        restore_valkey(source / "valkey", data_dir)


def _publish(server: _Server) -> RestoredServer:
    """Give the cluster the name under which it is started."""
    cluster = server.home / "cluster"
    (server.home / PARTIAL).rename(cluster)
    return RestoredServer(
        server.name,
        cluster,
        dict(server.choice.part.databases),
        server.cluster.last_commit_at,
        server.choice.problem,
    )
