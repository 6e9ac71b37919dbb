"""Migrations: numbered SQL files of the platform and of each service, on the catalog and on every shard.

Each database keeps what it has run in `dana_migrations.applied` with the file's checksum; a file that changed
after it ran is refused. One runner at a time (advisory lock); the first shard is the canary. Nothing runs
while a move holds the schema.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from dana.platform.database import address
from dana.platform.servers import CATALOG, administer, shard_addresses
from dana.platform.settings import Settings

SERVICES_DIR = Path(__file__).parents[1] / "services"
PLATFORM_DIR = Path(__file__).parent / "migrations"
LOCK_KEY = 4_611_686_018_427_387_901
LOCK_TIMEOUT = "2s"  # a migration must not queue behind a long statement, and so block all others
LOCK_TRIES = 10

_BOOKKEEPING = """
create schema if not exists dana_migrations;
create table if not exists dana_migrations.applied (
  owner text not null, number int not null, name text not null, sha256 text not null,
  applied_at timestamptz not null default now(), primary key (owner, number)
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    owner: str
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The checksum of its text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Target:
    """One database, by the name people know: `catalog`, or a shard's."""

    name: str
    dsn: str

    @property
    def place(self) -> str:
        """Which files it takes."""
        return "catalog" if self.name == "catalog" else "shard"


@dataclass(frozen=True, slots=True)
class Step:
    """One migration that a database has yet to run."""

    database: str
    migration: Migration


class ChangedMigrationError(RuntimeError):
    """A file was changed after it had run somewhere: write a new one instead."""


class SchemaHeldError(RuntimeError):
    """An organization is being moved between two shards; their tables must stay as they are."""


def services() -> list[str]:
    """Name all services: each owns a schema and a role of its own name."""
    return sorted(path.parent.name for path in SERVICES_DIR.glob("*/__init__.py"))


def migrations(place: str) -> list[Migration]:
    """Read the files for the `catalog` or for a `shard`, the platform's first."""
    below = "catalog" if place == "catalog" else "."
    found = list(_files("platform", PLATFORM_DIR / below))
    for service in services():
        found += _files(service, SERVICES_DIR / service / "migrations" / below)
    return found


async def plan(settings: Settings) -> list[Step]:
    """List what `migrate` would run, in order, without changing anything."""
    steps: list[Step] = []
    for target in [_catalog(settings), *await _shards(settings)]:
        applied = await _applied(target)
        steps += [Step(target.name, migration) for migration in _pending(migrations(target.place), applied)]
    return steps


async def migrate(settings: Settings, on_step: Callable[[Step], None] = lambda _: None) -> int:
    """Bring the catalog and all shards up to date; returns how many files ran. Safe to repeat.

    Raises ChangedMigrationError, and SchemaHeldError when something is to run while an organization moves.
    """
    async with administer(settings.database_url) as server:
        await server.execute("select pg_advisory_lock($1)", LOCK_KEY)
        await _refuse_while_held(settings)
        catalog = _catalog(settings)
        await _prepare(settings, catalog)
        ran = await _migrate_database(catalog, on_step)
        await _register_shards(settings)
        canary, *others = await _shards(settings)
        for target in (canary, *others):
            await _prepare(settings, target)
        ran += await _migrate_database(canary, on_step)
        ran += sum(await asyncio.gather(*(_migrate_database(other, on_step) for other in others)))
        return ran


async def migrate_shard(settings: Settings, name: str, dsn: str) -> int:
    """Make and fill the database of one new shard, under the lock of all migrations."""
    async with administer(settings.database_url) as server:
        await server.execute("select pg_advisory_lock($1)", LOCK_KEY)
        target = Target(name, dsn)
        await _prepare(settings, target)
        return await _migrate_database(target, lambda _: None)


@asynccontextmanager
async def schema_kept(settings: Settings) -> AsyncIterator[bool]:
    """Keep migrations from starting for the length of the block; False when one is running."""
    async with administer(settings.database_url) as server:
        yield bool(await server.fetchval("select pg_try_advisory_lock_shared($1)", LOCK_KEY))


async def schema_version(dsn: str) -> tuple[int, int]:
    """Return how many files a shard has run, and how many there are."""
    async with administer(dsn) as connection:
        return len(await _read_applied(connection)), len(migrations("shard"))


def _catalog(settings: Settings) -> Target:
    return Target("catalog", address(settings.database_url, database=CATALOG))


async def _shards(settings: Settings) -> list[Target]:
    """Return the shards the catalog knows; before there is a catalog, those it will begin with."""
    try:
        known = await shard_addresses(settings)
    except (asyncpg.InvalidCatalogNameError, asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        known = {
            name: address(settings.database_url, database=database)
            for name, database in _first_shards(settings).items()
        }
    return [Target(name, dsn) for name, dsn in known.items()]


def _first_shards(settings: Settings) -> dict[str, str]:
    return {f"shard{n}": f"dana_shard{n}" for n in range(1, settings.shard_count + 1)}


def _files(owner: str, folder: Path) -> Iterable[Migration]:
    for path in sorted(folder.glob("[0-9]*.sql")):
        number, _, name = path.stem.partition("_")
        yield Migration(owner, int(number), name, path.read_text())


def _pending(wanted: list[Migration], applied: dict[tuple[str, int], str]) -> list[Migration]:
    pending = []
    for migration in wanted:
        sha256 = applied.get((migration.owner, migration.number))
        if sha256 is None:
            pending.append(migration)
        elif sha256 != migration.sha256:
            raise ChangedMigrationError(
                f"{migration.owner}/{migration.number:04d}_{migration.name}.sql was changed after it ran. "
                "Restore it, and write a new numbered file for the change."
            )
    return pending


async def _refuse_while_held(settings: Settings) -> None:
    try:
        async with administer(_catalog(settings).dsn) as catalog:
            reasons = await catalog.fetch("select reason from platform.schema_holds order by since")
    except (asyncpg.InvalidCatalogNameError, asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return
    if reasons and await plan(settings):
        raise SchemaHeldError(
            f"{reasons[0]['reason']} Tables must stay as they are until then: let it finish, or end it with "
            "`dana shards abort`, and migrate again."
        )


async def _applied(target: Target) -> dict[tuple[str, int], str]:
    try:
        async with administer(target.dsn) as connection:
            return await _read_applied(connection)
    except asyncpg.InvalidCatalogNameError:
        return {}


async def _read_applied(connection: asyncpg.Connection) -> dict[tuple[str, int], str]:
    if await connection.fetchval("select to_regclass('dana_migrations.applied')") is None:
        return {}
    rows = await connection.fetch("select owner, number, sha256 from dana_migrations.applied")
    return {(row["owner"], row["number"]): row["sha256"] for row in rows}


async def _prepare(settings: Settings, target: Target) -> None:
    """Make the roles on the target's server, and the database."""
    database = target.dsn.rpartition("/")[2].partition("?")[0]
    async with administer(address(target.dsn, database="postgres")) as server:
        await _make_roles(server, settings)
        if not await server.fetchval("select 1 from pg_database where datname = $1", database):
            await server.execute(f"create database {database}")
            await server.execute(f"revoke connect, temporary on database {database} from public")
        await server.execute(f"grant connect on database {database} to dana_service")


async def _make_roles(server: asyncpg.Connection, settings: Settings) -> None:
    if not await server.fetchval("select 1 from pg_roles where rolname = 'dana_service'"):
        await server.execute("create role dana_service nologin")
    for service in services():
        role = f"dana_{service}"
        if not await server.fetchval("select 1 from pg_roles where rolname = $1", role):
            await server.execute(f"create role {role} login noinherit")
        await server.execute(f"alter role {role} inherit password '{settings.secrets.password(role)}'")
        await server.execute(f"grant dana_service to {role}")


async def _register_shards(settings: Settings) -> None:
    async with administer(_catalog(settings).dsn) as connection:
        # Only at the very first start: later shards are added, and removed, with `dana shards`.
        await connection.execute(
            "insert into platform.shards (name, database) select * from unnest($1::text[], $2::text[])"
            " where not exists (select from platform.shards)",
            list(_first_shards(settings)),
            list(_first_shards(settings).values()),
        )


async def _migrate_database(target: Target, on_step: Callable[[Step], None]) -> int:
    async with administer(target.dsn) as connection:
        await connection.execute(_BOOKKEEPING)
        for service in services():
            await connection.execute(f"create schema if not exists {service}")
            await connection.execute(f"grant usage on schema {service} to dana_{service}")
        pending = _pending(migrations(target.place), await _read_applied(connection))
        for migration in pending:
            on_step(Step(target.name, migration))
            await _run(connection, migration)
        return len(pending)


async def _run(connection: asyncpg.Connection, migration: Migration) -> None:
    for attempt in range(1, LOCK_TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(migration.sql)
                await connection.execute(
                    "insert into dana_migrations.applied (owner, number, name, sha256) "
                    "values ($1, $2, $3, $4)",
                    migration.owner,
                    migration.number,
                    migration.name,
                    migration.sha256,
                )
        except asyncpg.LockNotAvailableError:
            if attempt == LOCK_TRIES:
                raise
            await asyncio.sleep(attempt * 0.5)
        else:
            return
