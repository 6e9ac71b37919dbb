"""An export: one organization in files that anybody can read, and a manifest that says what they hold.

FOLDER/manifest.json        what is here, with checksums
FOLDER/catalog.json         the organization, its people, invitations and public keys
FOLDER/SCHEMA.TABLE.jsonl.gz    one row a line, as JSON
"""

import re
from datetime import datetime
from typing import Any

import msgspec

from dana.contracts.ids import OrgId
from dana.platform.errors import Invalid

FORMAT = 1
MANIFEST = "manifest.json"
CATALOG_FILE = "catalog.json"
LEFT_OUT = frozenset({"platform.move_markers"})
"""Tables of organizations that an export doesn't need: they say something of a move."""

_NAME = re.compile(r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")


class ExportedTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table's file."""

    name: str
    columns: list[str]
    rows: int
    digest: int
    """The exclusive or of the rows' 64-bit hashes, as PostgreSQL computes them."""
    sha256: str
    """Of the lines, uncompressed."""

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.name}.jsonl.gz"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an export holds."""

    format: int
    org_id: OrgId
    organization: str
    exported_at: datetime
    installation: str
    """Names the installation's root key without telling it: only that key opens sealed secrets."""
    catalog_sha256: str
    tables: list[ExportedTable]


class ExportedCatalog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The catalog's part, each row as it stands there."""

    organization: dict[str, Any]
    users: list[dict[str, Any]]
    memberships: list[dict[str, Any]]
    invitations: list[dict[str, Any]]
    channel_routes: list[dict[str, Any]]


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export or an import has come."""

    table: str
    rows: int
    expected: int
    """Of all tables; at an export the planner's estimate."""


def read_manifest(text: bytes) -> Manifest:
    """Read a manifest; raises Invalid."""
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise Invalid(f"The manifest can't be read: {error}.") from None
    if manifest.format != FORMAT:
        raise Invalid(f"The export has format {manifest.format}; this Dana reads format {FORMAT}.")
    odd = [table.name for table in manifest.tables if not _NAME.match(table.name)]
    if odd:
        raise Invalid(f"The manifest names no table with {odd[0]!r}.")
    return manifest


def same_people(exported: list[dict[str, Any]], known: list[tuple[str, str]]) -> dict[str, str]:
    """Say which exported person has another id here, found by the e-mail address."""
    by_email = {email: user_id for user_id, email in known}
    ids = {user_id for user_id, _ in known}
    return {
        user["id"]: by_email[user["email"]]
        for user in exported
        if user["id"] not in ids and user["email"] in by_email
    }


def with_ids_of_here(text: str, ids: dict[str, str]) -> str:
    """Replace people's ids in a row; an id is unmistakable wherever it stands."""
    for theirs, ours in ids.items():
        text = text.replace(theirs, ours)
    return text
