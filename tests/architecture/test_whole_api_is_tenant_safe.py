"""Every route of the whole API is called by a second organization with the first one's ids.

The list of routes comes from the API's own description, so a new route can't be forgotten: one that takes a
body must be given one here.
"""

import asyncio
import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from dana.app import Dana
from tests.conftest import SignedUp, SignUp

MARK = "only-for-ana"
PLATFORM = "/api/v1/platform/"  # for who runs all organizations; an owner of one is nobody there
PUBLIC = {"/api/v1/auth", "/api/v1/widget/{public_key}", "/.well-known", "/openapi.json"}

BODIES: dict[str, Any] = {
    "POST /api/v1/inboxes": {"name": "Other", "channel": "web_widget"},
    "PATCH /api/v1/inboxes/{inbox_id}": {"name": "stolen"},
    "POST /api/v1/conversations/{conversation_id}/messages": {"text": "stolen"},
    "POST /api/v1/conversations/{conversation_id}/assign": {"assignee_id": None},
    "POST /api/v1/conversations/{conversation_id}/snooze": {"until": "2099-01-01T00:00:00Z"},
    "POST /api/v1/conversations/exports": {},
    "POST /api/v1/widget/conversations/{conversation_id}/messages": {"text": "stolen"},
    "PATCH /api/v1/members/{user_id}": {"name": "stolen"},
    "POST /api/v1/invitations": {"email": "x@example.org", "role": "agent"},
    "PUT /api/v1/assistant": {"name": "stolen"},
    "POST /api/v1/assistant/try": {"question": MARK},
    "POST /api/v1/platform/moves": {
        "organization_id": "01900000-0000-7000-8000-000000000001",
        "target": "shard1",
    },
    "POST /api/v1/platform/jobs/redrive": {},
    "POST /api/v1/platform/jobs/replay": {
        "group": "conversations",
        "organization_id": "01900000-0000-7000-8000-000000000001",
    },
}


async def furnish(ana: SignedUp, dana: Dana) -> dict[str, str]:
    """Fill an organization; every text of it carries the mark."""
    inbox = (await ana.http.post("/api/v1/inboxes", json={"name": MARK, "channel": "web_widget"})).json()
    started = (
        await ana.http.post(f"/api/v1/widget/{inbox['public_key']}/conversations", json={"name": MARK})
    ).json()
    await ana.http.post(
        f"/api/v1/conversations/{started['conversation_id']}/messages", json={"text": f"{MARK} hello"}
    )
    file = {"file": (f"{MARK}.md", f"# {MARK}\n\nThe {MARK} opens at nine.".encode(), "text/markdown")}
    document = (await ana.http.post("/api/v1/knowledge/documents", files=file)).json()
    async with asyncio.timeout(60):
        while (await ana.http.get(f"/api/v1/knowledge/documents/{document['id']}")).json()[
            "status"
        ] != "searchable":
            await asyncio.sleep(0.1)
    invitation = (
        await ana.http.post("/api/v1/invitations", json={"email": f"{MARK}@example.org", "role": "agent"})
    ).json()
    return {
        "inbox_id": inbox["id"],
        "public_key": inbox["public_key"],
        "conversation_id": started["conversation_id"],
        "document_id": document["id"],
        "invitation_id": invitation["id"],
        "user_id": str(ana.user_id),
        "job_id": await export(ana),
        "token": "x",
        "name": (await dana.platform_shards.route(ana.org_id)).shard,
        "move_id": inbox["id"],
    }


async def export(ana: SignedUp) -> str:
    """Make a file of everything that was said."""
    job = (await ana.http.post("/api/v1/conversations/exports", json={"inbox_id": None})).json()
    async with asyncio.timeout(60):
        while (await ana.http.get(f"/api/v1/jobs/{job['id']}")).json()["state"] != "done":
            await asyncio.sleep(0.1)
    file = await ana.http.get(f"/api/v1/conversations/exports/{job['id']}/file")
    assert MARK in gzip.decompress(file.content).decode()
    return str(job["id"])


async def state_of(owner: SignedUp) -> dict[str, Any]:
    """Read everything that must not change."""
    paths = (
        "inboxes",
        "conversations",
        "members",
        "invitations",
        "assistant",
        "conversations/counts",
        "jobs",
    )
    answers = {path: (await owner.http.get(f"/api/v1/{path}")).json() for path in paths}
    answers["conversations"].pop("org_cursor")  # indexing goes on behind, and moves it
    documents = (await owner.http.get("/api/v1/knowledge/documents")).json()["items"]
    return answers | {"documents": [document["id"] for document in documents]}


def routes(description: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """List method, path and whether there is a body, of all routes that need a sign-in."""
    return [
        (method.upper(), path, "requestBody" in operation)
        for path, operations in description["paths"].items()
        if not any(path.startswith(public) for public in PUBLIC)
        for method, operation in operations.items()
    ]


async def call(http: httpx.AsyncClient, method: str, path: str, ids: dict[str, str], *, body: bool) -> str:
    filled = re.sub(r"{(\w+)}", lambda name: ids[name.group(1)], path)
    params = {"q": MARK} if path.endswith("/search") else None
    if f"{method} {path}" == "POST /api/v1/knowledge/documents":
        answer = await http.post(filled, files={"file": ("other.md", b"# Other\n\nText.", "text/markdown")})
    elif f"{method} {path}" == "POST /api/v1/conversations/deletions":
        answer = await http.post(filled, json={"quiet_since": datetime.now(UTC).isoformat()})
        assert answer.status_code == 202, answer.text
    elif f"{method} {path}" == "POST /api/v1/conversations/imports":
        form = {"inbox_id": ids["inbox_id"]}
        answer = await http.post(filled, data=form, files={"file": ("other.jsonl", b"{}\n")})
    elif f"{method} {path}" == "POST /api/v1/realtime/typing":
        answer = await http.post(filled, json={"conversation_id": ids["conversation_id"], "is_typing": True})
    elif body:
        assert f"{method} {path}" in BODIES, f"say here what body {method} {path} takes"
        answer = await http.request(method, filled, json=BODIES[f"{method} {path}"])
    else:
        answer = await http.request(method, filled, params=params)
    assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text}"
    if path.startswith(PLATFORM):
        assert answer.status_code == 403, f"{method} {path}: {answer.status_code} {answer.text}"
    elif "{" in path:
        assert answer.status_code in (401, 403, 404), f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.text


async def neighbour(sign_up: SignUp, dana: Dana, ana: SignedUp) -> SignedUp:
    """Sign up somebody on the same shard, where only row-level security stands between the two."""
    shards = dana.platform_shards
    while True:
        eve = await sign_up("Eve")
        if await shards.route(eve.org_id) == await shards.route(ana.org_id):
            return eve


async def test_no_route_shows_or_changes_what_another_organization_has(sign_up: SignUp, dana: Dana) -> None:
    ana = await sign_up("Ana")
    eve = await neighbour(sign_up, dana, ana)
    ids = await furnish(ana, dana)
    before = await state_of(ana)
    assert MARK in json.dumps(before)
    description = (await eve.http.get("/openapi.json")).json()
    for method, path, body in routes(description):
        text = await call(eve.http, method, path, ids, body=body)
        assert MARK not in text.replace(f'"{MARK}"', ""), f"{method} {path} shows another organization's text"
    assert await state_of(ana) == before


@pytest.mark.parametrize("token", ["", "garbage", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."])
async def test_every_route_refuses_whoever_has_no_valid_token(client: httpx.AsyncClient, token: str) -> None:
    description = (await client.get("/openapi.json")).json()
    client.headers["authorization"] = f"Bearer {token}"
    ids = dict.fromkeys(
        (
            "inbox_id",
            "conversation_id",
            "document_id",
            "invitation_id",
            "user_id",
            "job_id",
            "move_id",
            "name",
        ),
        "01900000-0000-7000-8000-000000000001",
    )
    for method, path, body in routes(description):
        filled = re.sub(r"{(\w+)}", lambda name: ids[name.group(1)], path)
        answer = await client.request(method, filled, json=BODIES.get(f"{method} {path}") if body else None)
        assert answer.status_code in (401, 422), f"{method} {path}: {answer.status_code}"
        assert answer.headers["content-type"].startswith("application/problem+json")
