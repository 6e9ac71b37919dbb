"""A gateway under test, and nothing of how it is made: a URL, what stands behind it, and its log.

Whoever wants to put another gateway behind this suite writes one more class with the methods of `Stand`,
whose `start` turns the model into that gateway's own configuration, and names it in `STANDS`.
"""

import contextlib
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from dana.platform.gateway import envoy
from dana.platform.gateway.model import Gateway, Upstream
from dana.platform.local import envoy as local
from dana.platform.local.programs import Program, spawn, stop, wait_until_ready
from tests.gateway.backends import Backend

Behind = Mapping[Upstream, Sequence[Backend | int]]
"""The processes of each upstream; a number is a port where nobody is yet."""
Certificate = tuple[str, str]
"""A chain and its key, as PEM."""
PATIENCE_SECONDS = 20.0


class Stand(Protocol):
    """One running gateway."""

    model: Gateway
    log: Path

    def point(self, upstream: Upstream, *backends: Backend, sockets: Sequence[Backend] | None = None) -> None:
        """Say which processes an upstream consists of from now on, and where else their sockets are."""

    def give_certificate(self, certificate: str, key: str) -> None:
        """Replace the certificate and its key."""

    def drain(self) -> None:
        """Ask it to send everybody elsewhere, without breaking anything."""

    def resume(self) -> None:
        """Take that back."""

    def stop(self) -> None:
        """Stop it."""


@dataclass
class EnvoyStand:
    """Envoy, with the configuration that the model emits."""

    model: Gateway
    log: Path
    program: Program
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, model: Gateway, behind: Behind, certificate: Certificate | None) -> "EnvoyStand":
        for upstream in Upstream:
            envoy.write_endpoints(model, upstream, _addresses(behind.get(upstream, ())))
        if certificate:
            envoy.write_certificate(model, *certificate)
        program = local.envoy_program(model)
        log = model.folder / "gateway.log"
        with log.open("wb") as output:
            process = spawn(program, output)
        wait_until_ready(program, process, log)
        return cls(model, log, program, process)

    def point(self, upstream: Upstream, *backends: Backend, sockets: Sequence[Backend] | None = None) -> None:
        others = None if sockets is None else _addresses(sockets)
        envoy.write_endpoints(self.model, upstream, _addresses(backends), others)

    def give_certificate(self, certificate: str, key: str) -> None:
        envoy.write_certificate(self.model, certificate, key)

    def drain(self) -> None:
        local.drain(self.model)

    def resume(self) -> None:
        local.resume(self.model)

    def stop(self) -> None:
        stop(self.program, self.process)


STANDS: dict[str, Callable[[Gateway, Behind, Certificate | None], Stand]] = {"envoy": EnvoyStand.start}


def start_stand(model: Gateway, behind: Behind, certificate: Certificate | None) -> Stand:
    """Start the gateway that DANA_TEST_GATEWAY names."""
    return STANDS[os.environ.get("DANA_TEST_GATEWAY", "envoy")](model, behind, certificate)


def _addresses(processes: Sequence[Backend | int]) -> list[tuple[str, int]]:
    return [("127.0.0.1", one if isinstance(one, int) else one.port) for one in processes]


@dataclass
class Visit:
    """What a client needs to come to a gateway."""

    stand: Stand
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=30, verify=trusting())

    @property
    def url(self) -> str:
        scheme = "https" if self.stand.model.tls else "http"
        return f"{scheme}://127.0.0.1:{self.stand.model.port}"

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.client.post(path, **options)

    def by(self, path: str, **options: Any) -> str:
        """Tell which backend answers."""
        return str(self.get(path, **options).json()["by"])

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are, and return all that comes back until the gateway closes or is silent."""
        with self.connect() as connection:
            connection.settimeout(5)
            connection.sendall(request)
            answer = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while part := connection.recv(65536):
                    answer += part
            return answer

    def raw_status(self, head: bytes) -> int:
        """Send a request without a body as it is, and return the status; 0 when the gateway just closes."""
        with self.connect() as connection:
            connection.settimeout(10)
            connection.sendall(head)
            try:
                answer = connection.recv(65536)
            except ConnectionResetError:
                return 0
            return int(answer.split(b" ")[1]) if answer else 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.stand.model.port), 10)

    def upgrade(self, path: str, headers: Mapping[str, str] | None = None) -> "Socket":
        return Socket.open(self.connect(), path, headers or {})


@dataclass
class Socket:
    """A WebSocket that reached a backend, or the answer that it got instead."""

    connection: socket.socket
    status: int
    told: dict[str, str]

    @classmethod
    def open(cls, connection: socket.socket, path: str, headers: Mapping[str, str]) -> "Socket":
        more = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n".encode()
        )
        answer = connection.recv(65536)
        while b"\r\n\r\n" not in answer or (b" 101 " in answer[:20] and not answer.endswith(b"\n\n")):
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        head, _, told = answer.decode().partition("\r\n\r\n")
        status = int(head.split(" ")[1])
        lines = told.strip().splitlines() if status == 101 else []
        return cls(connection, status, dict(line.split(": ", 1) for line in lines if ": " in line))

    def echoes(self, word: bytes = b"hello") -> bool:
        """Tell whether it still leads to its backend and back."""
        self.connection.settimeout(10)
        try:
            self.connection.sendall(word)
            return self.connection.recv(len(word)) == word
        except OSError:
            return False

    def ends(self) -> bool:
        """Wait until the other side closes."""
        self.connection.settimeout(10)
        try:
            return self.connection.recv(10) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.connection.close()


def trusting() -> ssl.SSLContext:
    """Accept the tests' own certificates."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for what nobody tells us."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
