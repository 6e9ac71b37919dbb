"""The API of knowledge, through the whole application: upload, watch, ask, delete, and what is refused."""

import asyncio
from typing import Any

import httpx

from tests.conftest import SignUp
from tests.services.knowledge import files

BASE = "/api/v1/knowledge"
RETURNS = b"# Returns\n\nYou can send items back within 30 days of delivery.\n"
PATIENCE_SECONDS = 60


async def upload(http: httpx.AsyncClient, name: str, content: bytes) -> dict[str, Any]:
    answer = await http.post(f"{BASE}/documents", files={"file": (name, content)})
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def finished(http: httpx.AsyncClient, document_id: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            document: dict[str, Any] = (await http.get(f"{BASE}/documents/{document_id}")).json()
            if document["status"] in ("searchable", "failed"):
                return document
            await asyncio.sleep(0.1)


async def test_from_upload_to_answer_to_deletion(sign_up: SignUp) -> None:
    http = (await sign_up("Ana")).http
    uploaded = await upload(http, "returns.md", RETURNS)
    assert (uploaded["status"], uploaded["version"], uploaded["media_type"]) == ("queued", 1, "text/markdown")
    document = await finished(http, uploaded["id"])
    assert (document["status"], document["progress"], document["title"]) == ("searchable", 1.0, "Returns")

    found = (await http.get(f"{BASE}/search", params={"q": "Can I send items back?", "limit": 3})).json()
    assert found["items"][0]["document_id"] == uploaded["id"]
    assert found["answer"]["sentence"] == "You can send items back within 30 days of delivery."
    assert found["answer"]["would_answer"]
    assert found["items"][0]["quote"] == found["answer"]["sentence"]
    assert found["methods"][0] == "bm25"

    passages = (await http.get(f"{BASE}/documents/{uploaded['id']}/passages")).json()
    assert [item["passage"] for item in passages["items"]] == [found["items"][0]["passage"]]

    assert (await http.delete(f"{BASE}/documents/{uploaded['id']}")).status_code == 204
    assert (await http.get(f"{BASE}/search", params={"q": "send items back"})).json()["items"] == []
    assert (await http.get(f"{BASE}/documents/{uploaded['id']}")).status_code == 404
    assert (await http.delete(f"{BASE}/documents/{uploaded['id']}")).status_code == 404


async def test_lists_go_page_by_page(sign_up: SignUp) -> None:
    http = (await sign_up("Ana")).http
    ids = [(await upload(http, f"{n}.txt", b"Page %d." % n))["id"] for n in range(3)]
    first = (await http.get(f"{BASE}/documents", params={"limit": 2})).json()
    second = (await http.get(f"{BASE}/documents", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None
    assert (await http.get(f"{BASE}/documents", params={"cursor": "nonsense"})).status_code == 422


async def test_a_failed_document_says_why(sign_up: SignUp) -> None:
    http = (await sign_up("Ana")).http
    uploaded = await upload(http, "contract.pdf", files.encrypted_pdf())
    document = await finished(http, uploaded["id"])
    assert document["status"] == "failed"
    assert "password" in document["error"]
    assert (await http.post(f"{BASE}/documents/{uploaded['id']}/retry")).status_code == 202
    assert (await finished(http, uploaded["id"]))["version"] > document["version"]


async def test_what_is_refused(sign_up: SignUp, client: httpx.AsyncClient) -> None:
    http = (await sign_up("Ana")).http
    for name in ("virus.exe", "noname"):
        answer = await http.post(f"{BASE}/documents", files={"file": (name, b"x")})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.post(f"{BASE}/documents", data={"file": "no file"})).status_code == 422
    assert (await http.post(f"{BASE}/documents", files={"other": ("a.txt", b"x")})).status_code == 422
    assert (await http.get(f"{BASE}/search", params={"q": ""})).status_code == 422
    assert (await http.get(f"{BASE}/search", params={"q": "x", "limit": 5000})).status_code == 422
    assert (await client.get(f"{BASE}/documents")).status_code == 401
    assert (await client.get(f"{BASE}/search", params={"q": "x"})).status_code == 401


async def test_a_stranger_sees_nothing(sign_up: SignUp) -> None:
    ana, eve = (await sign_up("Ana")).http, (await sign_up("Eve")).http
    document = await upload(ana, "returns.md", RETURNS)
    await finished(ana, document["id"])
    for method, path in (("GET", ""), ("GET", "/passages"), ("POST", "/retry"), ("DELETE", "")):
        answer = await eve.request(method, f"{BASE}/documents/{document['id']}{path}")
        assert answer.status_code == 404, (method, path)
    assert (await eve.get(f"{BASE}/search", params={"q": "send items back"})).json()["items"] == []
    assert (await eve.get(f"{BASE}/documents")).json()["items"] == []
