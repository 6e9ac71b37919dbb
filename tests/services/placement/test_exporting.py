"""A whole organization in files, and back: the same rows, the same people, the same keys."""

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from dana.app import Dana, compose, started
from dana.contracts.ids import new_id
from dana.platform.database import address
from dana.platform.errors import Conflict, Invalid, Missing, Unavailable
from dana.platform.local.postgres import start_postgres
from dana.platform.migrations import LOCK_KEY, migrate
from dana.platform.secrets import Secrets
from dana.platform.servers import CATALOG, administer, shard_address
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.exporting import export_organization
from dana.services.placement.actions.importing import import_organization
from dana.services.placement.models.exports import Exported, Manifest, read_manifest
from dana.services.placement.store import exporting, tables
from tests.conftest import SignedUp, SignUp

pytestmark = pytest.mark.xdist_group("placement")

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Shop:
    """An organization with a bit of everything, its export, and what leads to it."""

    owner: SignedUp
    email: str
    public_key: str
    conversation_id: str
    folder: Path
    manifest: Manifest


@pytest.fixture(scope="module")
async def elsewhere(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """Another installation, with keys of its own."""
    home = tmp_path_factory.mktemp("elsewhere")
    for folder in (home, *home.parents[:2]):
        folder.chmod(0o755)
    server = start_postgres(home / "postgres")
    settings = replace(servers, database_url=server.dsn, secrets=Secrets.load(home / "secrets"))
    await migrate(settings)
    yield settings
    server.stop()


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    shards = Shards(settings, "placement")
    yield Desk(settings, shards)
    await shards.close()


@pytest.fixture
async def desk_elsewhere(elsewhere: Settings) -> AsyncIterator[Desk]:
    shards = Shards(elsewhere, "placement")
    yield Desk(elsewhere, shards)
    await shards.close()


@pytest.fixture
async def shop(sign_up: SignUp, desk: Desk, tmp_path: Path) -> Shop:
    owner = await sign_up("Ana")
    http = owner.http
    me = (await http.get("/api/v1/auth/me")).json()
    inbox = (await http.post("/api/v1/inboxes", json={"name": "Web", "channel": "web_widget"})).json()
    path = f"/api/v1/widget/{inbox['public_key']}/conversations"
    begun = (await http.post(path, json={"name": 'Bo \\ "q" \n 漢字'})).json()
    for text in ("Hello", "line one\nline two\t\\.", "Größe 漢字 \u2028 🙂"):
        answer = await http.post(
            f"/api/v1/conversations/{begun['conversation_id']}/messages", json={"text": text}
        )
        assert answer.status_code == 201
    provider = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m", "api_key": "secret"}
    await http.put("/api/v1/assistant", json={"provider": provider})
    await http.post("/api/v1/invitations", json={"email": "invited@example.org", "role": "agent"})
    file = {"file": ("manual.md", b"# Opening hours\n\nThe shop opens at nine on weekdays.", "text/markdown")}
    document = (await http.post("/api/v1/knowledge/documents", files=file)).json()
    async with asyncio.timeout(150):  # the model shares two cores with everything else
        while (await http.get(f"/api/v1/knowledge/documents/{document['id']}")).json()[
            "status"
        ] != "searchable":
            await asyncio.sleep(0.1)
    folder = tmp_path / "export"
    manifest = await export_organization(desk, owner.org_id, folder)
    return Shop(owner, me["user"]["email"], inbox["public_key"], begun["conversation_id"], folder, manifest)


async def remove(desk: Desk, shop: Shop) -> None:
    """Let an installation forget an organization it imported, so that the next test may import it."""
    org_id = shop.owner.org_id
    async with administer(address(desk.settings.database_url, database=CATALOG)) as catalog:
        for table in ("auth.invitations", "auth.sessions", "auth.memberships", "platform.channel_routes"):
            await catalog.execute(f"delete from {table} where org_id = $1", org_id)  # noqa: S608
        await catalog.execute("delete from auth.organizations where id = $1", org_id)
        await catalog.execute("delete from platform.organizations where id = $1", org_id)


def rewritten(shop: Shop, folder: Path, table: str, change: Any) -> Path:
    """Copy an export with one table's lines changed, and a manifest that agrees with the change."""
    folder.mkdir()
    for path in shop.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    lines = change(gzip.decompress((folder / f"{table}.jsonl.gz").read_bytes()))
    (folder / f"{table}.jsonl.gz").write_bytes(gzip.compress(lines))
    sha256 = hashlib.sha256(lines).hexdigest()
    listed = [
        msgspec.structs.replace(t, sha256=sha256, rows=lines.count(b"\n")) if t.name == table else t
        for t in shop.manifest.tables
    ]
    manifest = msgspec.structs.replace(shop.manifest, tables=listed)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return folder


def client(dana: Dana) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=dana.http, client=("10.7.7.7", 4242))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)


async def test_an_export_is_read_without_dana(shop: Shop) -> None:
    manifest = read_manifest((shop.folder / "manifest.json").read_bytes())
    assert manifest == shop.manifest
    assert {"conversations.messages", "platform.event_log", "knowledge.files"} <= {
        table.name for table in manifest.tables
    }
    for table in manifest.tables:
        lines = gzip.decompress((shop.folder / table.file).read_bytes()).splitlines()
        assert len(lines) == table.rows
        assert {json.loads(line)["org_id"] for line in lines} <= {str(manifest.org_id)}
    catalog = (shop.folder / "catalog.json").read_text()
    assert shop.email in catalog
    assert "platform_role" not in catalog
    assert [path for path in shop.folder.iterdir() if path.stat().st_mode & 0o077] == []


async def test_no_table_of_the_catalog_is_forgotten(settings: Settings) -> None:
    left_out = {
        "auth.sessions",  # people sign in again
        "placement.moves",  # history of this installation's shards
        "placement.loads",  # measured again
        "platform.stream_cursors",  # how far readers are in the streams of this installation
    }
    async with administer(address(settings.database_url, database=CATALOG)) as catalog:
        rows = await catalog.fetch(
            "select table_schema || '.' || table_name as name from information_schema.columns"
            " where column_name = 'org_id' and table_schema not in ('pg_catalog', 'information_schema')"
        )
    assert {row["name"] for row in rows} - exporting.CATALOG_TABLES == left_out


async def test_everything_works_in_another_installation(
    shop: Shop, desk: Desk, desk_elsewhere: Desk, elsewhere: Settings, tmp_path: Path
) -> None:
    seen: list[Exported] = []
    await import_organization(desk_elsewhere, shop.folder, on_progress=seen.append)
    assert seen[-1].rows == seen[-1].expected == sum(table.rows for table in shop.manifest.tables)
    again = await export_organization(desk_elsewhere, shop.owner.org_id, tmp_path / "again")
    differing = [
        mine.name
        for mine, theirs in zip(by_name(shop.manifest), by_name(again), strict=True)
        if mine != theirs
    ]
    assert differing == ["ai.assistants"]  # the provider's key was sealed with the other installation's
    dana = compose(elsewhere)
    async with started(dana), client(dana) as http:
        login = await http.post("/api/v1/auth/login", json={"email": shop.email, "password": PASSWORD})
        assert login.status_code == 200, login.text
        http.headers["authorization"] = f"Bearer {login.json()['access_token']}"
        page = await http.get(f"/api/v1/conversations/{shop.conversation_id}/messages")
        assert [m["text"] for m in page.json()["items"] if m["author"] == "agent"] == [
            "Hello",
            "line one\nline two\t\\.",
            "Größe 漢字 \u2028 🙂",
        ]
        assert (await http.get(f"/api/v1/widget/{shop.public_key}")).json()["name"] == "Web"
        begun = await http.post(f"/api/v1/widget/{shop.public_key}/conversations", json={})
        assert begun.status_code == 201, begun.text
        found = (await http.get("/api/v1/knowledge/search", params={"q": "when does it open?"})).json()
        assert "opens at nine" in json.dumps(found)
        assistant = (await http.get("/api/v1/assistant")).json()
        assert assistant["provider"]["kind"] == "openai"
    await remove(desk_elsewhere, shop)


def by_name(manifest: Manifest) -> list[Any]:
    return sorted(manifest.tables, key=lambda table: table.name)


async def test_who_is_known_by_e_mail_stays_and_the_rows_speak_of_them(
    shop: Shop, desk_elsewhere: Desk
) -> None:
    resident = new_id()
    catalog_dsn = address(desk_elsewhere.settings.database_url, database=CATALOG)
    async with administer(catalog_dsn) as catalog:
        await catalog.execute(
            "insert into auth.users (id, email, password_hash) values ($1, $2, 'mine')", resident, shop.email
        )
    await import_organization(desk_elsewhere, shop.folder, "shard2")
    async with administer(catalog_dsn) as catalog:
        users = await catalog.fetch("select id, password_hash from auth.users where email = $1", shop.email)
        assert [tuple(row) for row in users] == [(resident, "mine")]
        member = await catalog.fetchrow(
            "select user_id, announced_version from auth.memberships where org_id = $1", shop.owner.org_id
        )
        assert member is not None
        assert (member["user_id"], member["announced_version"]) == (resident, 0)
        await catalog.execute("delete from auth.memberships where user_id = $1", resident)
        await catalog.execute("delete from auth.users where id = $1", resident)
    async with administer(await shard_address(desk_elsewhere.settings, "shard2")) as shard:
        authors = await shard.fetch(
            "select distinct author_id from conversations.messages where org_id = $1 and author = 'agent'",
            shop.owner.org_id,
        )
    assert [row["author_id"] for row in authors] == [resident]
    await remove(desk_elsewhere, shop)


async def test_an_organization_that_exists_is_not_imported_over(shop: Shop, desk: Desk) -> None:
    with pytest.raises(Conflict, match="exists here already"):
        await import_organization(desk, shop.folder)


async def test_an_import_that_was_cut_anywhere_can_be_repeated(
    shop: Shop, desk_elsewhere: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutError(Exception):
        pass

    async def cut(*_: object) -> None:
        raise CutError

    for verb in ("insert_lines", "digest_of", "open_here", "enter_catalog"):
        with monkeypatch.context() as patch, pytest.raises((CutError, Conflict)):
            patch.setattr(exporting, verb, cut)
            await import_organization(desk_elsewhere, shop.folder, "shard1")
            raise CutError  # nothing compares the rows of another installation
        if verb == "digest_of":
            await remove(desk_elsewhere, shop)
        with pytest.raises(Missing):
            await desk_elsewhere.shards.catalog.locate(shop.owner.org_id)
    await import_organization(desk_elsewhere, shop.folder, "shard2")
    assert (await desk_elsewhere.shards.catalog.locate(shop.owner.org_id)).shard == "shard2"
    async with administer(await shard_address(desk_elsewhere.settings, "shard1")) as shard:
        for table in await tables.tables(shard):
            count = f"select count(*) from {table.name} where org_id = $1"  # noqa: S608
            assert await shard.fetchval(count, shop.owner.org_id) == 0
    await remove(desk_elsewhere, shop)


@pytest.mark.parametrize("what", ["missing", "cut", "flipped", "not an export"])
async def test_files_that_are_not_what_was_exported_are_refused_before_anything_is_touched(
    shop: Shop, desk_elsewhere: Desk, what: str
) -> None:
    path = shop.folder / "conversations.messages.jsonl.gz"
    if what == "missing":
        path.unlink()
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif what == "flipped":
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"Hello", b"Hullo")))
    else:
        (shop.folder / "manifest.json").write_text("{}")
    with pytest.raises(Invalid):
        await import_organization(desk_elsewhere, shop.folder)
    async with administer(await shard_address(desk_elsewhere.settings, "shard1")) as shard:
        assert await exporting.placement_on(shard, shop.owner.org_id) == 0


async def test_rows_of_another_organization_are_refused_though_the_manifest_agrees(
    shop: Shop, desk_elsewhere: Desk, tmp_path: Path
) -> None:
    stranger = str(new_id()).encode()
    mine = str(shop.owner.org_id).encode()
    forged = rewritten(
        shop, tmp_path / "forged", "conversations.messages", lambda text: text.replace(mine, stranger, 1)
    )
    with pytest.raises(Invalid, match="another organization"):
        await import_organization(desk_elsewhere, forged)
    with pytest.raises(Missing):
        await desk_elsewhere.shards.catalog.locate(shop.owner.org_id)


async def test_rows_that_do_not_fit_are_refused_in_one_sentence(
    shop: Shop, desk_elsewhere: Desk, tmp_path: Path
) -> None:
    forged = rewritten(
        shop,
        tmp_path / "forged",
        "conversations.messages",
        lambda text: text.replace(b'"author":"agent"', b'"author":"nobody"'),
    )
    with pytest.raises(Invalid, match="doesn't fit"):
        await import_organization(desk_elsewhere, forged)


async def test_nothing_is_exported_while_it_moves_or_a_migration_runs(
    shop: Shop, desk: Desk, settings: Settings, tmp_path: Path
) -> None:
    route = await desk.shards.catalog.locate(shop.owner.org_id)
    set_state = "update platform.org_placement set state = $2 where org_id = $1"
    async with administer(await shard_address(settings, route.shard)) as shard:
        await shard.execute(set_state, shop.owner.org_id, "frozen")
        try:
            with pytest.raises(Unavailable):
                await export_organization(desk, shop.owner.org_id, tmp_path / "moving")
        finally:
            await shard.execute(set_state, shop.owner.org_id, "active")
    async with administer(settings.database_url) as server:
        await server.execute("select pg_advisory_lock($1)", LOCK_KEY)
        with pytest.raises(Conflict, match="migration"):
            await export_organization(desk, shop.owner.org_id, tmp_path / "migrating")
    with pytest.raises(Invalid, match="exists already"):
        await export_organization(desk, shop.owner.org_id, shop.folder)
    assert names_in(tmp_path) == ["export"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
