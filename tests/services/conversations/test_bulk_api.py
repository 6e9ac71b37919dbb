"""Long jobs over HTTP: who may, repeated requests, pages, files and problems."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from dana.contracts.ids import LongJobId, new_id
from dana.contracts.views import LongJobView, Role
from dana.platform.cache import Caches
from dana.platform.http import make_app
from dana.platform.identity import Keys, Member
from dana.platform.purging import Purger
from dana.platform.settings import Settings
from dana.services.conversations.actions.presenting import Presenting
from dana.services.conversations.api import routers
from tests.services.conversations.bulk_desk import finish
from tests.services.conversations.desk import Desk

NOW = datetime.now(UTC).isoformat()


@pytest.fixture
async def admin(desk: Desk, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who may do all this."""
    async with client(desk, settings, Role.ADMIN) as http:
        yield http


@pytest.fixture
async def agent(desk: Desk, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who may do none of it."""
    async with client(desk, settings, Role.AGENT) as http:
        yield http


def client(desk: Desk, settings: Settings, role: Role) -> httpx.AsyncClient:
    keys = Keys(settings.secrets)

    presenting = Presenting.build(desk.shards, Caches(), Purger(""))

    async def ready() -> dict[str, str]:
        return {}

    member = Member(desk.org_id, desk.ana.id, role, desk.ana.name, new_id())
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=make_app(routers(desk.shards, keys, presenting), keys, ready)),
        base_url="http://dana.test/api/v1",
        headers={"Authorization": f"Bearer {keys.sign_member(member, 60)}"},
    )


async def done(desk: Desk, answer: httpx.Response) -> LongJobView:
    assert answer.status_code == 202, answer.text
    return await finish(desk, LongJobId(UUID(answer.json()["id"])))


async def upload(http: httpx.AsyncClient, desk: Desk, content: bytes, **headers: str) -> httpx.Response:
    return await http.post(
        "/conversations/imports",
        data={"inbox_id": str(desk.inbox.id)},
        files={"file": ("old.jsonl", content)},
        headers=headers,
    )


async def test_an_agent_may_do_nothing_of_it(agent: httpx.AsyncClient, desk: Desk) -> None:
    some = str(new_id())
    answers = [
        await agent.get("/jobs"),
        await agent.get(f"/jobs/{some}"),
        await agent.get(f"/jobs/{some}/problems"),
        await agent.post(f"/jobs/{some}/cancel"),
        await agent.post("/conversations/deletions", json={"quiet_since": NOW}),
        await agent.post("/conversations/exports", json={}),
        await agent.get(f"/conversations/exports/{some}/file"),
        await agent.get(f"/conversations/exports/{some}/manifest"),
        await upload(agent, desk, b"{}\n"),
    ]
    assert {answer.status_code for answer in answers} == {403}


async def test_a_request_that_is_repeated_with_its_key_is_one_job(
    admin: httpx.AsyncClient, desk: Desk
) -> None:
    keyed = {"Idempotency-Key": "once"}
    body = {"status": "resolved", "quiet_since": NOW}
    first = await admin.post("/conversations/deletions", json=body, headers=keyed)
    again = await admin.post("/conversations/deletions", json=body, headers=keyed)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    other = await admin.post("/conversations/exports", json={}, headers=keyed)
    assert other.status_code == 409
    keyed = {"Idempotency-Key": "file"}
    first = await upload(admin, desk, b"{}\n", **keyed)
    again = await upload(admin, desk, b"{}\n", **keyed)
    changed = await upload(admin, desk, b"{}\n{}\n", **keyed)
    assert (first.status_code, again.status_code, changed.status_code) == (202, 200, 409)


async def test_an_export_is_fetched_with_its_name_size_and_manifest(
    admin: httpx.AsyncClient, desk: Desk
) -> None:
    await desk.write(await desk.start("Carla"), "Where is my octopus?")
    answer = await admin.post("/conversations/exports", json={"inbox_id": str(desk.inbox.id)})
    assert answer.json()["about"] == "All conversations in “Shop”"
    early = await admin.get(f"/conversations/exports/{answer.json()['id']}/file")
    assert (early.status_code, early.json()["detail"]) == (404, "The file is not finished yet.")
    job = await done(desk, answer)
    file = await admin.get(f"/conversations/exports/{job.id}/file")
    assert file.headers["content-type"] == "application/gzip"
    assert file.headers["content-length"] == str(len(file.content))
    assert (
        f'filename="conversations-{job.created_at:%Y-%m-%d}.jsonl.gz"' in file.headers["content-disposition"]
    )
    text = gzip.decompress(file.content)
    assert [json.loads(line)["type"] for line in text.splitlines()] == ["conversation", "message"]
    manifest = (await admin.get(f"/conversations/exports/{job.id}/manifest")).json()
    assert (manifest["format"], manifest["lines"], manifest["bytes"]) == ("dana-conversations", 2, len(text))
    listed = (await admin.get(f"/jobs/{job.id}")).json()
    assert (listed["state"], listed["file_expires_at"] is not None) == ("done", True)


async def test_jobs_are_listed_in_pages_newest_first(admin: httpx.AsyncClient) -> None:
    asked = [(await admin.post("/conversations/exports", json={})).json()["id"] for _ in range(5)]
    found: list[str] = []
    cursor = None
    while True:
        page = (await admin.get("/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        found += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == asked[::-1]
    for cursor in ("nonsense", "WyJ4Il0"):
        assert (await admin.get("/jobs", params={"cursor": cursor})).status_code == 422


async def test_bad_lines_are_listed_in_pages(admin: httpx.AsyncClient, desk: Desk) -> None:
    job = await done(desk, await upload(admin, desk, b"[]\n" * 150))
    assert (job.problems, job.done) == (150, 150)
    first = (await admin.get(f"/jobs/{job.id}/problems", params={"limit": 100})).json()
    rest = (await admin.get(f"/jobs/{job.id}/problems", params={"cursor": first["next_cursor"]})).json()
    assert [one["number"] for one in first["items"] + rest["items"]] == list(range(1, 151))
    assert rest["next_cursor"] is None


async def test_a_job_is_cancelled_once_and_not_after_its_end(admin: httpx.AsyncClient, desk: Desk) -> None:
    asked = (await admin.post("/conversations/exports", json={})).json()
    cancelled = await admin.post(f"/jobs/{asked['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert (await admin.post(f"/jobs/{asked['id']}/cancel")).json() == cancelled.json()
    ended = await done(desk, await admin.post("/conversations/exports", json={}))
    assert (await admin.post(f"/jobs/{ended.id}/cancel")).status_code == 409
    assert (await admin.post(f"/jobs/{new_id()}/cancel")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("deletions", {}),
        ("deletions", {"quiet_since": "2999-01-01T00:00:00Z"}),
        ("deletions", {"quiet_since": NOW, "status": "closed"}),
        ("exports", {"inbox": "x"}),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    admin: httpx.AsyncClient, path: str, body: dict[str, str]
) -> None:
    answer = await admin.post(f"/conversations/{path}", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_an_inbox_that_is_not_there_is_missed(admin: httpx.AsyncClient, desk: Desk) -> None:
    for path, body in (("deletions", {"quiet_since": NOW}), ("exports", {})):
        answer = await admin.post(f"/conversations/{path}", json=body | {"inbox_id": str(new_id())})
        assert answer.status_code == 404
    answer = await admin.post(
        "/conversations/imports", data={"inbox_id": str(new_id())}, files={"file": ("f", b"{}\n")}
    )
    assert answer.status_code == 404
