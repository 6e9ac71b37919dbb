"""The API of those who run the platform, on a running installation of two servers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from dana.app import Dana, compose, started
from dana.contracts.ids import new_id
from dana.contracts.views import PlatformRole
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.auth.actions import admins
from dana.services.placement import jobs
from dana.services.placement.actions import moving
from tests.services.placement.grounds import Grounds

pytestmark = pytest.mark.xdist_group("placement")

NOBODY = "01900000-0000-7000-8000-000000000001"
ENDED = {"verified", "unproven", "purged", "aborted"}


@pytest.fixture(scope="module")
async def dana_here(two_servers: Settings) -> AsyncIterator[Dana]:
    """The whole application on the two servers; it drives what was asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "TAKE_UP_SECONDS", 0.2)
        whole = compose(two_servers)
    async with started(whole):
        yield whole


async def person(dana_here: Dana, settings: Settings, role: PlatformRole | None) -> httpx.AsyncClient:
    """Sign somebody up, and let the operator grant them a role."""
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=dana_here.http, client=(f"2001:db8::{new_id().hex[:4]}", 1)),
        base_url="http://localhost/api/v1/",
        timeout=60,
    )
    email = f"{new_id()}@example.org"
    body = {"email": email, "password": "correct horse battery", "name": "Ana", "organization": "Acme"}
    session = await http.post("auth/signup", json=body)
    if role is not None:
        shards = Shards(settings, "auth")
        async with shards.catalog.tx() as tx:
            await admins.grant(tx, email, role)
        await shards.close()
        session = await http.post("auth/login", json={"email": email, "password": body["password"]})
    http.headers["authorization"] = f"Bearer {session.json()['access_token']}"
    return http


@pytest.fixture(scope="module")
async def admin(dana_here: Dana, two_servers: Settings) -> AsyncIterator[httpx.AsyncClient]:
    http = await person(dana_here, two_servers, PlatformRole.ADMIN)
    yield http
    await http.aclose()


@pytest.fixture(scope="module")
async def supporter(dana_here: Dana, two_servers: Settings) -> AsyncIterator[httpx.AsyncClient]:
    http = await person(dana_here, two_servers, PlatformRole.SUPPORT)
    yield http
    await http.aclose()


async def ended(http: httpx.AsyncClient, move_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer = await http.get(f"platform/moves/{move_id}")
            assert answer.status_code == 200, answer.text
            move: dict[str, Any] = answer.json()
            if move["state"] in ENDED:
                return move
            await asyncio.sleep(0.1)


def refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert words in answer.json()["detail"]


async def test_shards_are_listed_in_pages_and_shown(supporter: httpx.AsyncClient, grounds: Grounds) -> None:
    names: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await supporter.get("platform/shards", params=params)).json()
        names += [shard["name"] for shard in page["items"]]
        assert all(shard["is_reachable"] for shard in page["items"])
        if (cursor := page["next_cursor"]) is None:
            break
    assert names == ["shard1", "shard2", "shard3"]
    shard = (await supporter.get("platform/shards/shard3")).json()
    assert shard["condition"]["migrations"] == shard["migrations_wanted"]
    refused(await supporter.get("platform/shards/nowhere"), 404, "no shard named nowhere")
    refused(await supporter.get("platform/shards", params={"cursor": "x"}), 422, "cursor")
    places = (await supporter.get("platform/places")).json()["items"]
    assert [place["rank"] for place in places] == [1, 2, 3]


async def test_support_looks_and_an_admin_acts(
    supporter: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    refused(await supporter.post("platform/shards/shard2/close"), 403, "role admin")
    assert (await supporter.get("platform/shards/shard2")).json()["is_open"]
    assert not (await admin.post("platform/shards/shard2/close")).json()["is_open"]
    assert not (await supporter.get("platform/shards/shard2")).json()["is_open"]
    assert (await admin.post("platform/shards/shard2/open")).json()["is_open"]
    refused(await admin.post("platform/shards/nowhere/open"), 404, "nowhere")


async def test_an_owner_without_a_role_is_refused_before_anything_is_read(
    dana_here: Dana, two_servers: Settings
) -> None:
    owner = await person(dana_here, two_servers, None)
    for method, path in (
        ("GET", "shards"),
        ("GET", "moves"),
        ("GET", "rebalance"),
        ("POST", "moves"),
        ("POST", f"moves/{new_id()}/purge"),
    ):
        answer = await owner.request(method, f"platform/{path}", content=b"{nonsense")
        refused(answer, 403, "dana admins grant")
    await owner.aclose()


async def test_a_move_is_asked_for_carried_out_verified_taken_back_and_purged(
    admin: httpx.AsyncClient, grounds: Grounds
) -> None:
    office = await grounds.furnished("shard1")
    wanted = {"organization_id": str(office.org_id), "target": "shard3"}
    asked = await admin.post("platform/moves", json=wanted)
    assert asked.status_code == 201
    move = await ended(admin, asked.json()["id"])
    assert (move["state"], move["source"], move["target"]) == ("verified", "shard1", "shard3")
    assert await grounds.route(office.org_id) == ("shard3", 2)
    verified = (await admin.post(f"platform/moves/{move['id']}/verify")).json()
    assert verified["is_proven"]
    assert {check["differing"] for check in verified["checks"]} == {0}
    refused(await admin.post(f"platform/moves/{move['id']}/abort"), 409, "roll back instead")
    refused(await admin.post("platform/moves", json=wanted), 409, "lives on shard3 already")
    await office.write(1)
    back = (await admin.post(f"platform/moves/{move['id']}/rollback")).json()
    assert (back["back_of"], back["target"]) == (move["id"], "shard1")
    assert (await ended(admin, back["id"]))["state"] == "verified"
    purged = await admin.post(f"platform/moves/{back['id']}/purge")
    assert (purged.status_code, purged.json()["state"]) == (200, "purged")
    assert await grounds.rows("shard3", office.org_id) == {}
    async with grounds.on("shard1") as home:
        assert await office.check(home) > 0


async def test_a_move_is_aborted_before_anybody_drives_it(admin: httpx.AsyncClient, grounds: Grounds) -> None:
    org_id = await grounds.organization("shard1")
    async with grounds.catalog() as catalog:
        # Another session has the organization's logbook, so the job can't begin.
        await catalog.execute("select pg_advisory_lock(hashtextextended($1, 0))", f"placement.move {org_id}")
        asked = await admin.post("platform/moves", json={"organization_id": str(org_id), "target": "shard2"})
        aborted = await admin.post(f"platform/moves/{asked.json()['id']}/abort")
        assert aborted.json()["is_abort_wanted"]
    assert (await ended(admin, asked.json()["id"]))["state"] == "aborted"
    assert await grounds.route(org_id) == ("shard1", 1)


async def test_moves_are_listed_newest_first_in_pages(admin: httpx.AsyncClient, grounds: Grounds) -> None:
    for _ in range(3):
        move = await moving.request(grounds.desk, await grounds.organization("shard1"), "shard2")
        await moving.abort(grounds.desk, move.id)
        await ended(admin, str(move.id))
    seen: list[str] = []
    cursor = None
    while len(seen) < 3:
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get("platform/moves", params=params)).json()
        (item,) = page["items"]
        seen.append(item["id"])
        cursor = page["next_cursor"]
    newest = [str(each.id) for each in await moving.list_moves(grounds.desk, only_open=False)]
    assert seen == newest[:3]
    assert (await admin.get("platform/moves", params={"only_open": True})).json()["items"] == []
    refused(await admin.get(f"platform/moves/{new_id()}"), 404, "no such move")
    refused(await admin.get("platform/moves", params={"cursor": "WyJ4Il0"}), 422, "cursor")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"organization_id": NOBODY, "target": "shard1"}, 404, "no such organization"),
        ({"organization_id": "x", "target": "shard1"}, 422, ""),
        ({"organization_id": NOBODY, "target": "s", "force": True}, 422, ""),
        ({"target": "shard1"}, 422, ""),
    ],
)
async def test_what_can_t_be_asked_for_is_refused(
    admin: httpx.AsyncClient, body: dict[str, Any], status: int, words: str
) -> None:
    refused(await admin.post("platform/moves", json=body), status, words)


async def test_a_plan_says_what_would_even_out_the_load(
    supporter: httpx.AsyncClient, grounds: Grounds
) -> None:
    plan = (await supporter.get("platform/rebalance", params={"tolerance": 0.5})).json()
    assert {load["shard"] for load in plan["loads"]} == {"shard1", "shard2", "shard3"}
    assert plan["reason"]
    for move in plan["moves"]:
        assert move["source"] in move["reason"]
    refused(await supporter.get("platform/rebalance", params={"tolerance": 0}), 422, "")
