"""Which path leads where, which leads nowhere, and what every answer carries."""

import json

import httpx
import pytest

from dana.platform.gateway.model import PROBE_PATH, Upstream
from tests.gateway.backends import Backend
from tests.gateway.conftest import People, Start
from tests.gateway.stands import Visit, until

PROBLEM = "application/problem+json"
OPEN_PATHS = {
    "/": "web",
    "/inbox": "web",
    "/openapi.json": "web",
    "/docs": "web",
    "/widget.js": "web",
    "/readyz": "web",
    "/api/v1/auth/login": "auth",
    "/.well-known/jwks.json": "auth",
    "/api/v1/widget/pk_1": "conversations",
}
MEMBER_PATHS = {
    "/api/v1/auth/me": "auth",
    "/api/v1/members": "auth",
    "/api/v1/invitations/1": "auth",
    "/api/v1/conversations": "conversations",
    "/api/v1/conversations/1/messages": "conversations",
    "/api/v1/inboxes": "conversations",
    "/api/v1/knowledge/documents": "knowledge",
    "/api/v1/knowledge/search": "knowledge",
    "/api/v1/assistant": "ai",
    "/api/v1/assistant/try": "ai",
    "/api/v1/platform/shards": "placement",
    "/api/v1/platform/moves/1/abort": "placement",
    "/api/v1/platform/anything-else": "web",
    "/api/v1/new-thing": "web",
}


@pytest.mark.parametrize(("path", "upstream"), OPEN_PATHS.items())
def test_open_paths_lead_to_their_service_without_a_token(dana: Visit, path: str, upstream: str) -> None:
    answer = dana.get(path)
    assert answer.status_code == 200
    if path != "/readyz":  # every backend answers that itself
        assert answer.json()["by"] == upstream


@pytest.mark.parametrize(("path", "upstream"), MEMBER_PATHS.items())
def test_a_member_reaches_the_service(dana: Visit, people: People, path: str, upstream: str) -> None:
    answer = dana.get(f"{path}?limit=5", headers=people.member()).json()
    assert answer["by"] == upstream
    assert answer["path"] == f"{path}?limit=5"


@pytest.mark.parametrize("path", ["/api/v1/conversationsx", "/api/v1/auth/mex", "/apix"])
def test_what_only_begins_alike_is_something_else(dana: Visit, people: People, path: str) -> None:
    by = {"/api/v1/conversationsx": "web", "/api/v1/auth/mex": "auth", "/apix": "web"}
    assert dana.by(path, headers=people.member()) == by[path]


@pytest.mark.parametrize(
    "path", ["/internal", "/internal/", "/internal/knowledge", "/x/../internal/a", "/metrics"]
)
def test_what_is_for_services_and_operators_is_closed(
    dana: Visit, people: People, backends: dict[Upstream, Backend], path: str
) -> None:
    answer = dana.client.send(_as_it_is(dana, "POST", path, people.member()))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == PROBLEM
    assert not any(backend.seen for backend in backends.values())
    assert dana.by("/internally") == "web"


def test_the_gateway_tells_of_itself_whoever_is_away(start: Start) -> None:
    nobody = start({})
    assert nobody.get(PROBE_PATH).status_code == 200
    answer = nobody.get("/")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["type"] == "urn:dana:problem:unavailable"
    assert answer.headers["retry-after"] == "1"


def test_an_upstream_may_move_while_the_gateway_runs(start: Start, backends: dict[Upstream, Backend]) -> None:
    here, there = backends[Upstream.AUTH], backends[Upstream.WEB]
    visit = start({Upstream.AUTH: [here]})
    assert visit.by("/api/v1/auth/login") == "auth"
    visit.stand.point(Upstream.AUTH)
    until(lambda: visit.post("/api/v1/auth/login").status_code == 503)
    visit.stand.point(Upstream.AUTH, there)
    until(lambda: visit.post("/api/v1/auth/login").status_code == 200)
    assert visit.by("/api/v1/auth/login") == "web"


def test_pages_elsewhere_may_call_the_widget_only(dana: Visit, people: People) -> None:
    path = "/api/v1/widget/conversations/1/messages"
    ask = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    preflight = dana.client.options(path, headers=ask)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
    answer = dana.get(path, headers=people.visitor() | {"origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    other = dana.get("/api/v1/inboxes", headers=people.member() | {"origin": "https://shop.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/", "/api/v1/inboxes", "/internal", "/api/v1/auth/login"])
def test_every_answer_carries_security_headers_and_a_request_id(dana: Visit, path: str) -> None:
    headers = dana.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "geolocation=()" in headers["permissions-policy"]
    assert headers["x-request-id"]
    assert headers["server"] == "dana"
    assert "strict-transport-security" not in headers, "that is for TLS"
    assert not [name for name in headers if name.startswith("x-envoy")]


def test_large_answers_are_compressed_and_still_found_unchanged(
    dana: Visit, backends: dict[Upstream, Backend]
) -> None:
    web = backends[Upstream.WEB]
    web.says, web.fills = {"etag": '"abc"', "cache-control": "no-cache"}, 10_000
    answer = dana.get("/widget.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["etag"] == 'W/"abc"', "weak, because the bytes differ"
    plain = dana.get("/widget.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] == '"abc"'
    asked = dana.get("/widget.js", headers={"if-none-match": 'W/"abc"'}).json()
    assert asked["headers"]["if-none-match"] == 'W/"abc"'
    web.fills = 100
    assert "content-encoding" not in dana.get("/x", headers={"accept-encoding": "gzip"}).headers


def test_the_log_is_json_without_queries_and_tokens(dana: Visit, people: People) -> None:
    token = people.member()["authorization"]
    dana.get("/invite/in-the-link")
    dana.post("/api/v1/auth/invitations/in-the-link/accept")
    dana.get("/api/v1/conversations?secret=in-the-query", headers={"authorization": token})
    until(lambda: b"in-the-query" not in dana.stand.log.read_bytes() and _is_logged(dana), seconds=30)
    text = dana.stand.log.read_text()
    entries = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    (entry,) = [entry for entry in entries if entry.get("organization") == str(people.org_id)][-1:]
    assert (entry["path"], entry["status"], entry["upstream"]) == (
        "/api/v1/conversations",
        200,
        "conversations",
    )
    assert [entry["path"] for entry in entries].count("(a secret path)") == 2
    assert "in-the-link" not in text
    assert token.split(".")[2] not in text


def _is_logged(dana: Visit) -> bool:
    """Envoy writes its log every few seconds."""
    lines = [line for line in dana.stand.log.read_text().splitlines() if line.startswith("{")]
    return bool(lines) and json.loads(lines[-1])["path"] == "/api/v1/conversations"


def _as_it_is(dana: Visit, method: str, path: str, headers: dict[str, str]) -> httpx.Request:
    """Make a request whose path the client doesn't make plain."""
    request = dana.client.build_request(method, "/", headers=headers)
    request.url = request.url.copy_with(raw_path=path.encode())
    return request
