"""What no honest client sends by HTTP/2: services speak HTTP/1.1, where its bytes could become a request."""

import contextlib
import socket
import ssl

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset

from dana.platform.gateway.model import Tls, Upstream
from tests.gateway.backends import Backend
from tests.gateway.certificates import make_certificate
from tests.gateway.conftest import People, Start
from tests.gateway.stands import Visit, trusting

Headers = list[tuple[bytes, bytes]]
LOGIN = b"/api/v1/auth/login"
FRAME_BYTES = 16 * 1024
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def by_tls(start_for_all: Start, backends: dict[Upstream, Backend]) -> Visit:
    behind = {upstream: [backend] for upstream, backend in backends.items()}
    return start_for_all(behind, tls=Tls(), certificate=make_certificate("localhost"))


class Stream:
    """One request by HTTP/2 as raw as the frames allow, and what came of it."""

    def __init__(self, visit: Visit, headers: Headers, body: bytes = b"") -> None:
        self.status = 0
        """0 when the stream or the connection was ended instead of answered."""
        self.body = b""
        context = trusting()
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(visit.connect(), server_hostname="localhost") as connection:
            connection.settimeout(10)
            self._ask(connection, headers, body)

    def _ask(self, connection: ssl.SSLSocket, headers: Headers, body: bytes) -> None:
        raw = H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding=None
        )
        self.connection = H2Connection(raw)
        self.connection.initiate_connection()
        self.connection.send_headers(1, headers, end_stream=not body)
        for begin in range(0, len(body), FRAME_BYTES):
            frame = body[begin : begin + FRAME_BYTES]
            self.connection.send_data(1, frame, end_stream=begin + len(frame) == len(body))
        connection.sendall(self.connection.data_to_send())
        with contextlib.suppress(ConnectionResetError, socket.timeout, ssl.SSLError):
            while not self._take(connection.recv(65536)):
                connection.sendall(self.connection.data_to_send())

    def _take(self, received: bytes) -> bool:
        if not received:
            return True
        for event in self.connection.receive_data(received):
            if isinstance(event, ResponseReceived):
                self.status = int(dict(event.headers)[b":status"])
            elif isinstance(event, DataReceived):
                self.body += event.data
            elif isinstance(event, StreamEnded | StreamReset | ConnectionTerminated):
                return True
        return False


def asking(path: bytes = b"/", method: bytes = b"GET", *more: tuple[bytes, bytes]) -> Headers:
    return [
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", path),
        *more,
    ]


def test_an_honest_request_is_answered(by_tls: Visit) -> None:
    """Or the tests below would prove nothing."""
    stream = Stream(by_tls, asking(LOGIN, b"POST", (b"content-length", b"5")), b"hello")
    assert stream.status == 200
    assert b'"body_bytes": 5' in stream.body
    assert stream.connection.remote_settings.max_concurrent_streams == by_tls.stand.model.clients.streams


@pytest.mark.parametrize(
    "lengths",
    [
        [(b"content-length", b"3")],
        [(b"content-length", b"500")],
        [(b"content-length", b"3"), (b"content-length", b"51")],
        [(b"content-length", b"-1")],
        [(b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"chunked"), (b"content-length", b"51")],
        [(b"transfer-encoding", b"identity")],
    ],
)
def test_lengths_that_lie_are_refused(
    by_tls: Visit, backends: dict[Upstream, Backend], lengths: Headers
) -> None:
    stream = Stream(by_tls, asking(LOGIN, b"POST", *lengths), b"0\r\n\r\n" + SMUGGLED)
    assert stream.status in (0, 400)
    assert not any(backend.seen for backend in backends.values())


@pytest.mark.parametrize(
    "header",
    [
        (b"x-a", b"b\r\nx-dana-user: spoofed"),
        (b"x-a", b"b\nx-dana-user: spoofed"),
        (b"x-a", b"b\r\n\r\n" + SMUGGLED),
        (b"x-a", b"b\x00c"),
        (b"x-a: b\r\nx-dana-user", b"spoofed"),
        (b"x a", b"b"),
        (b"x-a:", b"b"),
        (b"", b"b"),
        (b"X-Dana-User", b"spoofed"),
        (b"x_dana_user", b"spoofed"),
        (b"connection", b"keep-alive, x-dana-user"),
        (b"upgrade", b"websocket"),
        (b":path", b"/internal"),
        (b":extra", b"x"),
    ],
)
def test_headers_that_would_be_something_else_are_refused(
    by_tls: Visit, backends: dict[Upstream, Backend], header: tuple[bytes, bytes]
) -> None:
    stream = Stream(by_tls, asking(b"/", b"GET", header))
    assert stream.status in (0, 400)
    assert not any(backend.seen for backend in backends.values())


@pytest.mark.parametrize(
    "headers",
    [
        asking(b"/ HTTP/1.1\r\nx-dana-user: spoofed\r\n\r\nGET /smuggled"),
        asking(b"/a b"),
        asking(b"/\x00"),
        asking(b""),
        asking(b"internal"),
        asking(b"/", b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET"),
        asking(b"/", b"GE T"),
        asking(b"/", b""),
        [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost")],
        [(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a,b"), (b":scheme", b"https")],
        [(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a\r\nb: c"), (b":scheme", b"https")],
        [(b"x-a", b"b"), *asking()],
    ],
)
def test_requests_that_would_be_two_are_refused(
    by_tls: Visit, backends: dict[Upstream, Backend], headers: Headers
) -> None:
    stream = Stream(by_tls, headers)
    assert stream.status in (0, 400, 404)
    assert not any(backend.seen for backend in backends.values())


def test_identity_is_stripped_here_too(by_tls: Visit, people: People) -> None:
    token = people.member()["authorization"].encode()
    spoofed = ((b"authorization", token), (b"x-dana-organization", b"spoofed"), (b"x-dana-user", b"spoofed"))
    stream = Stream(by_tls, asking(b"/api/v1/inboxes", b"GET", *spoofed))
    assert stream.status == 200
    assert b"spoofed" not in stream.body
    assert str(people.org_id).encode() in stream.body


def test_closed_paths_are_closed_here_too(by_tls: Visit, backends: dict[Upstream, Backend]) -> None:
    for path in (b"/internal/x", b"/x/../internal/x", b"/%69nternal/x", b"//internal/x", b"/internal%2fx"):
        assert Stream(by_tls, asking(path)).status in (400, 404)
    assert not any(backend.seen for backend in backends.values())


def test_bodies_are_bounded_here_too(by_tls: Visit, backends: dict[Upstream, Backend]) -> None:
    """To the frame: Envoy counts what it keeps, and passes the last frame on."""
    stream = Stream(by_tls, asking(b"/", b"POST"), b"x" * 2 * FRAME_BYTES)
    assert stream.status == 413
    assert not any(backend.seen for backend in backends.values())
