"""Bring an exported organization in: into another installation, or back into its own after it was lost.

check every file ─► a closed place on a shard ─► rows ─► compare ─► open there ─► the catalog, all at once

Until the last step nobody can reach the organization, so a repeat after a crash begins by removing what is
left.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dana.contracts.ids import OrgId
from dana.platform.database import address
from dana.platform.errors import Conflict, Invalid, Missing
from dana.platform.migrations import schema_kept
from dana.platform.servers import CATALOG, shard_addresses
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.exporting import OnExported, installation_of
from dana.services.placement.actions.preparing import clear
from dana.services.placement.models.exports import (
    CATALOG_FILE,
    MANIFEST,
    Exported,
    ExportedCatalog,
    ExportedTable,
    Manifest,
    read_manifest,
    same_people,
    with_ids_of_here,
)
from dana.services.placement.store import exporting, tables
from dana.services.placement.store.sessions import Connection, session
from dana.services.placement.store.tables import Table

LINES_AT_ONCE = 1_000
CHARACTERS_AT_ONCE = 8_000_000  # a document's file may be one line of fifty million
MOST_CHARACTERS = 200_000_000
READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Load:
    """What is brought in, and what must be changed on the way."""

    folder: Path
    manifest: Manifest
    ids: dict[str, str]
    """Of people who have another id here."""
    is_foreign: bool
    """Whether it comes from another installation, whose sealed secrets can't be opened here."""
    on_progress: OnExported


async def import_organization(
    desk: Desk, folder: Path, shard: str | None = None, on_progress: OnExported = lambda _: None
) -> Manifest:
    """Bring an export in; safe to repeat. Users who are known here by their e-mail address stay as they are.

    Raises Invalid for files that are not what the manifest says, or don't fit this version's tables, Conflict
    when the organization exists here or a migration runs, Missing for an unknown shard.
    """
    manifest, known = _checked(folder)
    async with (
        schema_kept(desk.settings) as is_kept,
        session(address(desk.settings.database_url, database=CATALOG)) as catalog,
    ):
        if not is_kept:
            raise Conflict("A migration is running; try again when it has ended.")
        if not await exporting.lock_import(catalog, manifest.org_id):
            raise Conflict("The same organization is being imported already.")
        await _refuse_what_is_here(catalog, manifest, known)
        home = shard or await _choose(desk)
        epoch = await _clear_away(desk, manifest.org_id, home)
        is_foreign = manifest.installation != installation_of(desk.settings.secrets)
        ids = same_people(known.users, await exporting.people_here(catalog, known.users))
        async with session((await shard_addresses(desk.settings))[home]) as there:
            await exporting.expect(there, manifest.org_id, epoch)
            await _fill(there, _Load(folder, manifest, ids, is_foreign, on_progress))
            await exporting.open_here(there, manifest.org_id, epoch)
        await exporting.enter_catalog(catalog, manifest.org_id, home, epoch, _catalog_lines(known, ids))
    return manifest


def _checked(folder: Path) -> tuple[Manifest, ExportedCatalog]:
    """Read the manifest, and check that every file is what it says, before anything is touched."""
    try:
        manifest = read_manifest((folder / MANIFEST).read_bytes())
        text = (folder / CATALOG_FILE).read_bytes()
        for table in manifest.tables:
            sha256, rows = hashlib.sha256(), 0
            with gzip.open(folder / table.file) as file:
                while part := file.read(READ_BYTES):
                    sha256.update(part)
                    rows += part.count(b"\n")
            if (sha256.hexdigest(), rows) != (table.sha256, table.rows):
                raise Invalid(f"{table.file} is not what was exported; take another copy of the export.")
    except FileNotFoundError as error:
        raise Invalid(f"{error.filename} is missing: this is not a complete export.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(f"The export can't be read, take another copy of it: {error}.") from None
    if hashlib.sha256(text).hexdigest() != manifest.catalog_sha256:
        raise Invalid(f"{CATALOG_FILE} is not what was exported; take another copy of the export.")
    return manifest, msgspec.json.decode(text, type=ExportedCatalog)


async def _refuse_what_is_here(catalog: Connection, manifest: Manifest, known: ExportedCatalog) -> None:
    if await exporting.is_known(catalog, manifest.org_id):
        raise Conflict(f"{manifest.organization} ({manifest.org_id}) exists here already.")
    keys = [route["public_key"] for route in known.channel_routes]
    if taken := await exporting.foreign_keys_of_channels(catalog, keys):
        raise Conflict(f"The inbox key {taken[0]} belongs to another organization here.")


async def _choose(desk: Desk) -> str:
    async with desk.shards.catalog.read() as tx:
        chosen = await exporting.least_loaded(tx)
    if chosen is None:
        raise Conflict("No shard is open for new organizations; name one with --to.")
    return chosen


async def _clear_away(desk: Desk, org_id: OrgId, home: str) -> int:
    """Remove what an interrupted import left anywhere; returns an epoch that was never used."""
    addresses = await shard_addresses(desk.settings)
    if home not in addresses:
        raise Missing(f"There is no shard named {home}.")
    newest = 0
    for name, dsn in addresses.items():
        async with session(dsn) as shard:
            epoch = await exporting.placement_on(shard, org_id)
            newest = max(newest, epoch)
            if epoch:
                await exporting.retire(shard, org_id)
            if epoch or name == home:
                await clear(shard, org_id)
    return newest + 1


async def _fill(shard: Connection, load: _Load) -> None:
    here = {table.name: table for table in await tables.tables(shard)}
    expected, done = sum(table.rows for table in load.manifest.tables), 0
    for exported in load.manifest.tables:
        table = here.get(exported.name)
        if table is None or not set(exported.columns) <= set(table.columns):
            raise Invalid(f"{exported.name} was exported by a newer Dana; upgrade this one first.")
        try:
            for lines in _batches(load, exported):
                own = await exporting.insert_lines(
                    shard, table, exported.columns, load.manifest.org_id, lines
                )
                if own != len(lines):
                    raise Invalid(f"{exported.name} has rows of another organization; nothing was opened.")
                done += own
                load.on_progress(Exported(table=exported.name, rows=done, expected=expected))
        except exporting.MISFITS as error:
            raise Invalid(f"{exported.name} doesn't fit this version's tables: {error}.") from error
        if not (load.ids or load.is_foreign):
            await _compare(shard, table, exported, load.manifest.org_id)


async def _compare(shard: Connection, table: Table, exported: ExportedTable, org_id: OrgId) -> None:
    found = await exporting.digest_of(shard, table, exported.columns, org_id)
    if found != (exported.rows, exported.digest):
        raise Invalid(f"The rows of {exported.name} are not those that were exported; nothing was opened.")


def _batches(load: _Load, exported: ExportedTable) -> Iterator[list[str]]:
    """Read lines, so many or so long at once that memory stays small, as they are to stand here."""
    sealed = [c for c in exported.columns if load.is_foreign and c.startswith(exporting.SEALED)]
    lines: list[str] = []
    characters = 0
    with gzip.open(load.folder / exported.file, "rt", encoding="utf-8", newline="\n") as file:
        while line := file.readline(MOST_CHARACTERS):
            lines.append(_fitted(line, load.ids, sealed))
            characters += len(line)
            if len(lines) >= LINES_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
                yield lines
                lines, characters = [], 0
    if lines:
        yield lines


def _fitted(line: str, ids: dict[str, str], sealed: list[str]) -> str:
    """Let a row speak of the people of this installation, and forget what can't be opened here."""
    line = with_ids_of_here(line, ids)
    if not sealed:
        return line
    row: dict[str, Any] = msgspec.json.decode(line)
    return msgspec.json.encode(row | dict.fromkeys(sealed)).decode()


def _catalog_lines(known: ExportedCatalog, ids: dict[str, str]) -> dict[str, list[str]]:
    """Write the catalog's rows; a person with another id here is announced anew to the shard."""
    users = [user for user in known.users if user["id"] not in ids]
    memberships = [
        member | {"announced_version": 0} if member["user_id"] in ids else member
        for member in known.memberships
    ]
    parts: dict[str, list[dict[str, Any]]] = {
        "organization": [known.organization],
        "users": users,
        "memberships": memberships,
        "invitations": known.invitations,
        "channel_routes": known.channel_routes,
    }
    return {
        what: [with_ids_of_here(msgspec.json.encode(row).decode(), ids) for row in rows]
        for what, rows in parts.items()
    }
