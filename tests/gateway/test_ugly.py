"""What no honest client sends: the gateway refuses it, or makes it plain, before a service has to."""

from urllib.parse import unquote

import pytest

from dana.platform.gateway.model import Upstream
from tests.gateway.backends import Backend
from tests.gateway.conftest import People
from tests.gateway.stands import Visit

HOST = b"host: localhost\r\nconnection: close\r\n"
BOTH_LENGTHS = [
    b"content-length: 6\r\ntransfer-encoding: chunked\r\n",
    b"transfer-encoding: chunked\r\ncontent-length: 6\r\n",
    b"content-length: 6\r\ntransfer-encoding: xchunked\r\n",
    b"content-length: 6\r\ntransfer-encoding:\tchunked\r\n",
    b"content-length: 6\r\ntransfer-encoding : chunked\r\n",
    b"content-length: 6\r\ncontent-length: 5\r\n",
    b"content-length: 6, 5\r\n",
    b"content-length: +6\r\n",
    b"content-length: 0x6\r\n",
    b"content-length: -1\r\n",
    b"transfer-encoding: chunked, identity\r\n",
    b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
]


@pytest.mark.parametrize("lengths", BOTH_LENGTHS)
def test_nothing_is_smuggled_behind_a_request_of_two_lengths(
    dana: Visit, backends: dict[Upstream, Backend], lengths: bytes
) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = dana.raw(b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + lengths + b"\r\n0\r\n\r\n" + smuggled)
    assert b" 400 " in answer.split(b"\r\n")[0] or b" 501 " in answer.split(b"\r\n")[0]
    assert b"application/problem+json" in answer or b"connection: close" in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not any(backend.seen for backend in backends.values())


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: localhost\r\nbad header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GE\x00T / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(dana: Visit, backends: dict[Upstream, Backend], head: bytes) -> None:
    assert dana.raw_status(head) in (0, 400, 426)
    assert not any(backend.seen for backend in backends.values())


@pytest.mark.parametrize(
    "name", ["x_dana_organization", "X_Dana_User", "x-dana_organization", "content_length", "x_anything"]
)
def test_underscores_in_header_names_are_refused(
    dana: Visit, backends: dict[Upstream, Backend], name: str
) -> None:
    """Some servers take an underscore for a hyphen, and would believe it."""
    assert dana.raw_status(b"GET / HTTP/1.1\r\n" + HOST + name.encode() + b": 1\r\n\r\n") == 400
    assert not any(backend.seen for backend in backends.values())


@pytest.mark.parametrize(
    "path",
    [
        "/%69nternal/x",
        "/%49nternal/../internal/x",
        "/internal%2fx",
        "/x/%2e%2e/internal/x",
        "/x/..%2finternal",
        "/./internal/x",
        "//internal/x",
        "/x//..//internal/x",
        "/internal;a=b/x",
        "/internal\\x",
        "/%5cinternal/x",
        "/internal%00/x",
        "/internal%20/x",
        "/inter%6eal",
    ],
)
def test_closed_paths_stay_closed_however_they_are_written(
    dana: Visit, backends: dict[Upstream, Backend], path: str
) -> None:
    answer = dana.raw(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    status = int(answer.split(b" ")[1])
    reached = [asked for backend in backends.values() for asked in backend.seen]
    assert status in (400, 404) or not unquote(reached[0].split(" ", 1)[1]).startswith("/internal/"), reached
    assert not [asked for asked in reached if unquote(asked.split(" ", 1)[1]).rstrip("/") == "/internal"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/auth/../inboxes",
        "/api/v1/auth/%2e%2e/inboxes",
        "/api/v1//inboxes",
        "//api/v1/inboxes",
        "/api/v1/./inboxes",
        "/api/v1/inboxe%73",
        "/%61pi/v1/inboxes",
    ],
)
def test_another_spelling_of_a_path_needs_the_same_token(dana: Visit, path: str) -> None:
    assert dana.raw_status(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n") == 401


@pytest.mark.parametrize("path", ["/api/v1/..%2f..%2finternal", "/a%2Fb", "/a%5Cb"])
def test_hidden_slashes_are_refused(dana: Visit, path: str) -> None:
    answer = dana.get(path)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_methods_for_proxies_lead_nowhere(
    dana: Visit, backends: dict[Upstream, Backend], method: str
) -> None:
    target = b"example.com:443" if method == "CONNECT" else b"/"
    assert dana.raw_status(method.encode() + b" " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n") >= 400
    assert not any(backend.seen for backend in backends.values())


def test_a_whole_url_is_no_way_to_somebody_else(dana: Visit, people: People) -> None:
    head = b"GET http://example.com/api/v1/inboxes HTTP/1.1\r\nhost: example.com\r\n\r\n"
    assert dana.raw_status(head) == 401


def test_forwarding_headers_of_clients_are_not_believed(dana: Visit) -> None:
    told = {
        "x-forwarded-proto": "ftp",
        "x-envoy-original-path": "spoofed",
        "x-envoy-external-address": "spoofed",
        "x-envoy-internal": "spoofed",
        "x-envoy-retry-on": "spoofed",
        "x-envoy-upstream-rq-timeout-ms": "1",
    }
    headers = dana.get("/", headers=told).json()["headers"]
    assert "spoofed" not in headers.values()
    assert headers["x-forwarded-proto"] == "http"


def test_a_bare_carriage_return_ends_no_header(dana: Visit) -> None:
    answer = dana.raw(b"GET / HTTP/1.1\r\n" + HOST + b"x: a\rx-dana-user: b\r\n\r\n")
    assert b'"x-dana-user"' not in answer
    assert b"\\r" not in answer


def test_a_client_cannot_ask_for_a_writing_to_be_repeated(
    dana: Visit, people: People, backends: dict[Upstream, Backend]
) -> None:
    counting = backends[Upstream.CONVERSATIONS]
    counting.planned = [503]
    asked = {"x-envoy-retry-on": "5xx,retriable-4xx", "x-envoy-max-retries": "5"}
    assert dana.post("/api/v1/inboxes", headers=people.member() | asked).status_code == 503
    assert counting.seen["POST /api/v1/inboxes"] == 1
