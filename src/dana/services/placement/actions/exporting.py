"""Take one organization out, whole, into files that anybody can read; the backup of one tenant.

The catalog's part is read first: what it has announced since then, the shard's part has heard.
"""

import gzip
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from dana.contracts.ids import OrgId
from dana.platform.database import address
from dana.platform.errors import Conflict, Invalid, Unavailable
from dana.platform.migrations import schema_kept
from dana.platform.secrets import Secrets
from dana.platform.servers import CATALOG, shard_address
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.exports import (
    CATALOG_FILE,
    FORMAT,
    LEFT_OUT,
    MANIFEST,
    Exported,
    ExportedCatalog,
    ExportedTable,
    Manifest,
)
from dana.services.placement.store import exporting, tables
from dana.services.placement.store.sessions import Connection, session
from dana.services.placement.store.tables import Table

COMPRESSION = 4  # half the time of the default, and a tenth more bytes

OnExported = Callable[[Exported], None]


async def export_organization(
    desk: Desk, org_id: OrgId, folder: Path, on_progress: OnExported = lambda _: None
) -> Manifest:
    """Write an organization into a new folder, as it is at one moment, while it works.

    Raises Missing, Invalid when the folder exists, Conflict while it moves or a migration runs.
    """
    async with schema_kept(desk.settings) as is_kept:
        if not is_kept:
            raise Conflict("A migration is running; try again when it has ended.")
        with _new_folder(folder) as partial:
            return await _write(desk, org_id, partial, on_progress)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder of another name, which gets its own when it is complete; else nothing stays."""
    if folder.exists():
        raise Invalid(f"{folder} exists already; name a new folder.")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)  # it holds what customers wrote, and password hashes
    try:
        yield partial
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def installation_of(secrets: Secrets) -> str:
    """Name an installation's root key, without telling it."""
    return secrets.derive("installation").hex()[:32]


async def _write(desk: Desk, org_id: OrgId, folder: Path, on_progress: OnExported) -> Manifest:
    route = await desk.shards.catalog.locate(org_id)
    async with session(address(desk.settings.database_url, database=CATALOG)) as catalog:
        rows = await exporting.catalog_rows(catalog, org_id)
    if not rows["organization"]:
        raise Conflict("The organization is not complete yet: nobody has signed up for it.")
    decoded: dict[str, Any] = {
        what: [msgspec.json.decode(row) for row in lines] for what, lines in rows.items()
    }
    known = ExportedCatalog(**decoded | {"organization": decoded["organization"][0]})
    catalog_bytes = msgspec.json.format(msgspec.json.encode(known), indent=1)
    _write_durably(folder / CATALOG_FILE, catalog_bytes)
    async with session(await shard_address(desk.settings, route.shard)) as shard:
        if not await exporting.begin_snapshot(shard, org_id, route.epoch):
            raise Unavailable("The organization is being moved; try again when it has arrived.")
        written = await _write_tables(shard, org_id, folder, on_progress)
    manifest = Manifest(
        format=FORMAT,
        org_id=org_id,
        organization=known.organization["name"],
        exported_at=datetime.now(UTC),
        installation=installation_of(desk.settings.secrets),
        catalog_sha256=hashlib.sha256(catalog_bytes).hexdigest(),
        tables=written,
    )
    _write_durably(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return manifest


async def _write_tables(
    shard: Connection, org_id: OrgId, folder: Path, on_progress: OnExported
) -> list[ExportedTable]:
    found = [table for table in await tables.tables(shard) if table.name not in LEFT_OUT]
    expected = sum([await tables.expected_rows(shard, table, org_id) for table in found])
    written: list[ExportedTable] = []
    for table in found:
        before = sum(done.rows for done in written)

        def tell(rows: int, table: Table = table, before: int = before) -> None:
            on_progress(Exported(table=table.name, rows=before + rows, expected=max(expected, before + rows)))

        written.append(await _write_table(shard, table, org_id, folder, tell))
    return written


async def _write_table(
    shard: Connection, table: Table, org_id: OrgId, folder: Path, tell: Callable[[int], None]
) -> ExportedTable:
    columns = await exporting.exported_columns(shard, table)
    sha256, lines = hashlib.sha256(), 0
    path = folder / f"{table.name}.jsonl.gz"
    with path.open("wb") as raw, gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as file:

        async def write(part: bytes) -> None:
            nonlocal lines
            sha256.update(part)
            lines += part.count(b"\n")
            file.write(part)
            tell(lines)

        await exporting.copy_out(shard, table, columns, org_id, write)
        file.close()
        os.fsync(raw.fileno())
    path.chmod(0o600)
    rows, digest = await exporting.digest_of(shard, table, columns, org_id)
    if rows != lines:
        raise RuntimeError(f"{table.name} has {rows} rows, but {lines} lines were written")
    return ExportedTable(
        name=table.name, columns=columns, rows=rows, digest=digest, sha256=sha256.hexdigest()
    )


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        path.chmod(0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
