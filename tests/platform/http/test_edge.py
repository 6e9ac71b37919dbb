"""The edge: problems, ids, pages, and built files with the caching each deserves."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Router, get, post
from litestar.params import FromPath, JSONBody

from dana.platform.errors import Invalid, Limited, Problem, Unavailable
from dana.platform.http import decode_cursor, encode_cursor, make_app
from dana.platform.http.static import Static
from dana.platform.identity import Keys
from dana.platform.settings import Settings


@get("/fails/{how:str}")
async def fails(how: FromPath[str]) -> None:
    problems: dict[str, Exception] = {
        "limited": Limited("Slow down.", retry_after_seconds=7.2),
        "unavailable": Unavailable("Down."),
        "bug": ValueError("the insides, which nobody must see"),
    }
    raise problems[how]


@post("/echo")
async def echo(data: JSONBody[dict[str, int]]) -> dict[str, int]:
    return data


async def nothing_missing() -> dict[str, str]:
    return {}


@pytest.fixture
async def http(servers: Settings, tmp_path: Path) -> Any:
    files = {"index.html": "console", "assets/app-1234.js": "code", "docs/index.html": "reference"}
    widget = {"widget.js": "widget", "demo.html": "demo", "demo/demo-99.js": "demo code"}
    for folder, contents in (("web", files), ("widget", widget)):
        for name, text in contents.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    router = Router(path="/api/v1", route_handlers=[fails, echo])
    app = make_app([router], Keys(servers.secrets), nothing_missing)
    transport = httpx.ASGITransport(app=Static(app, tmp_path / "web", tmp_path / "widget"))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_a_problem_says_what_to_do_and_carries_the_requests_id(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/fails/limited", headers={"x-request-id": "my-request-1"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "my-request-1"
    assert answer.json()["type"] == "urn:dana:problem:limited"
    assert (await http.get("/api/v1/fails/unavailable")).headers["retry-after"] == "1"


async def test_a_bug_shows_nothing_of_its_insides(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/fails/bug")
    assert answer.status_code == 500
    assert "insides" not in answer.text
    assert answer.json()["request_id"]


@pytest.mark.parametrize("body", [b"{bad", b'{"a": "text"}', b"[1]", b"\xff\xfe", b""])
async def test_a_garbled_body_is_invalid_not_a_crash(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/api/v1/echo", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["type"] == Invalid.type()


async def test_an_unknown_route_and_method_are_problems_too(http: httpx.AsyncClient) -> None:
    for answer in (await http.get("/api/v1/nothing"), await http.delete("/api/v1/echo")):
        assert answer.status_code in (404, 405)
        assert answer.headers["content-type"].startswith("application/problem+json")


async def test_a_request_id_from_outside_is_kept_only_when_it_is_harmless(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz", headers={"x-request-id": 'no"good\\n'})
    assert answer.headers["x-request-id"] != 'no"good\\n'


async def test_built_files_have_the_caching_they_deserve(http: httpx.AsyncClient) -> None:
    page = await http.get("/inbox/some/deep/link")
    assert (page.text, page.headers["cache-control"]) == ("console", "no-cache")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    asset = await http.get("/assets/app-1234.js")
    assert "immutable" in asset.headers["cache-control"]
    again = await http.get("/assets/app-1234.js", headers={"if-none-match": asset.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await http.get("/widget.js")).headers["access-control-allow-origin"] == "*"
    assert (await http.get("/demo/inbox_abc")).text == "demo"
    assert (await http.get("/demo/demo-99.js")).text == "demo code"
    assert (await http.get("/docs")).text == "reference"


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/assets/../../secret.key", "/no-such-file.js"])
async def test_nothing_outside_the_built_folders_is_served(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404 or answer.text == "console"


async def test_metrics_count_by_route_not_by_address(http: httpx.AsyncClient) -> None:
    await http.get("/api/v1/fails/limited")
    metrics = (await http.get("/metrics")).text
    assert 'route="/api/v1/fails/{how}"' in metrics


def test_a_cursor_comes_back_as_it_was_and_a_garbled_one_is_invalid() -> None:
    assert decode_cursor(encode_cursor("a", 2), 2) == ["a", "2"]
    for garbled in ("", "x", "%%%", encode_cursor("one"), "é"):
        with pytest.raises(Problem):
            decode_cursor(garbled, 2)
