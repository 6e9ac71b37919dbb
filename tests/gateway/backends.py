"""Small real servers to stand behind a gateway: they tell what reached them, and fail as they are told.

One serves plain HTTP and WebSockets on the same port, so that it can stand in for any upstream.
"""

import contextlib
import http.server
import json
import queue
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

PROBES = ("/healthz", "/readyz")
STREAM = "/api/v1/realtime/stream"
LONGEST_HANG_SECONDS = 30
CHAT_SECONDS = 0.02


class Failure(Enum):
    """How a backend may break a request that it has read, instead of answering."""

    RESET = "the connection is reset"
    HANG = "nothing comes until it is let go"


class Backend(http.server.ThreadingHTTPServer):
    """One process behind the gateway."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, name: str = "backend", port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.name = name
        self.port = int(self.server_address[1])
        self.planned: list[int | Failure] = []
        """What happens to the next requests, in this order; then all is well again."""
        self.always: int | Failure | None = None
        """What happens to all others."""
        self.is_well = True
        """What its probe says."""
        self.probed = 0
        """How often that was asked."""
        self.says: dict[str, str] = {}
        """Headers of its answers."""
        self.fills = 0
        """How many bytes an answer has besides."""
        self.seen: Counter[str] = Counter()
        """How often each method and path came."""
        self.sockets: list[socket.socket] = []
        self.feed: queue.Queue[bytes | None] = queue.Queue()
        """What the one open stream says next; None ends it."""
        self.is_chatty = False
        """Whether its streams say something all the time, by themselves."""
        self.lost = threading.Event()
        """Set when whoever read the stream is gone."""
        self.let_go = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def next(self, asked: str) -> int | Failure:
        """Count a request, and say what happens to it."""
        with self._lock:
            self.seen[asked] += 1
            if self.planned:
                return self.planned.pop(0)
            return self.always or 200

    def close_sockets(self) -> None:
        """Say goodbye on all open WebSockets."""
        for connection in self.sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening and let everything go."""
        self.let_go.set()
        self.feed.put(None)
        self.close_sockets()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """A probe that hangs up is no error."""


@contextmanager
def listening(*names: str) -> Iterator[list[Backend]]:
    """Run backends for the length of a block."""
    backends = [Backend(name) for name in names]
    try:
        yield backends
    finally:
        for backend in backends:
            backend.close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Backend
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        if self.path in PROBES:
            self.server.probed += 1
            self._send(200 if self.server.is_well else 503, b"{}")
            return
        body = self._read_body()
        happens = self.server.next(f"{self.command} {self.path.partition('?')[0]}")
        if happens is Failure.RESET:
            self._reset()
        elif happens is Failure.HANG:
            self.server.let_go.wait(LONGEST_HANG_SECONDS)
            self._reset()
        elif self.headers.get("upgrade") == "websocket":
            self._echo()
        elif self.path.partition("?")[0] == STREAM:
            self._stream()
        else:
            headers = {name.lower(): text for name, text in self.headers.items()}
            told = {"by": self.server.name, "path": self.path, "headers": headers, "body_bytes": len(body)}
            if self.server.fills:
                told["filling"] = "x" * self.server.fills
            assert isinstance(happens, int)
            self._send(happens, b"" if self.command == "HEAD" else json.dumps(told).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the library's names

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while length := int(self.rfile.readline(), 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, text in self.server.says.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        """Say what it is fed, at once, until it is told to end or nobody is there."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-store")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-by", self.server.name)
        for name in ("x-dana-organization", "last-event-id"):
            self.send_header(f"x-seen-{name}", self.headers.get(name, ""))
        self.end_headers()
        try:
            while (said := self._said()) is not None:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(said), said))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server.lost.set()
            self.close_connection = True

    def _said(self) -> bytes | None:
        if not self.server.is_chatty:
            return self.server.feed.get()
        time.sleep(CHAT_SECONDS)
        return b":\n\n"

    def _reset(self) -> None:
        """Close so that the other side gets a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _echo(self) -> None:
        """Accept the upgrade, tell name and headers, then echo bytes."""
        self.server.sockets.append(self.connection)
        head = "".join(f"{name.lower()}: {text}\n" for name, text in self.headers.items())
        told = f"by: {self.server.name}\npath: {self.path}\n{head}\n"
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
            + told.encode()
        )
        with contextlib.suppress(OSError):
            while part := self.connection.recv(4096):
                self.connection.sendall(part)
        self.close_connection = True
