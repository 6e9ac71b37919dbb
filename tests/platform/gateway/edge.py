"""A running gateway as the tests see it, and upstreams that tell what reached them."""

import http.server
import json
import socket
import socketserver
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from dana.contracts.ids import ContactId, ConversationId, InboxId, OrgId, UserId
from dana.contracts.views import Role
from dana.platform.gateway.model import Gateway
from dana.platform.identity import Keys, Member, Visitor


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked; fails as often as `failures` says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    failures = 0
    seen = 0

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        type(self).seen += 1
        status = 200
        if self.path != "/healthz" and type(self).failures > 0:
            type(self).failures -= 1
            status = 503
        headers = {name.lower(): text for name, text in self.headers.items()}
        answer = json.dumps({"path": self.path, "headers": headers, "body_bytes": len(body)}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - names of the standard library

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


class SocketEcho(socketserver.BaseRequestHandler):
    """Accepts the upgrade, tells its headers, then echoes bytes."""

    def handle(self) -> None:
        """Serve one connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            part = self.request.recv(4096)
            if not part:
                return
            head += part
        self.request.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
        )
        self.request.sendall(head)
        while part := self.request.recv(4096):
            self.request.sendall(part)


class Server(socketserver.ThreadingTCPServer):
    """Serves in threads that don't outlive the test."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """A probe that hangs up is no error."""


def new_member(org_id: OrgId | None = None) -> Member:
    """Make somebody, in an organization of their own unless one is given."""
    return Member(org_id or OrgId(uuid4()), UserId(uuid4()), Role.AGENT, "Ana", uuid4())


@dataclass
class Edge:
    """A running gateway."""

    gateway: Gateway
    keys: Keys
    client: httpx.Client
    log: Path
    member: Member = field(default_factory=new_member)
    echo: type[Echo] = Echo

    def as_member(self, member: Member | None = None, ttl_seconds: float = 60) -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys.sign_member(member or self.member, ttl_seconds)}"}

    def as_visitor(self) -> dict[str, str]:
        visitor = Visitor(
            self.member.org_id, ConversationId(uuid4()), ContactId(uuid4()), InboxId(uuid4()), "Ana"
        )
        return {"authorization": f"Bearer {self.keys.sign_visitor(visitor, 60)}"}

    def upgrade(self, path: str) -> tuple[socket.socket, bytes]:
        """Ask for a WebSocket; returns the connection and the first answer."""
        connection = socket.create_connection(("127.0.0.1", self.gateway.port), 5)
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        answer = b""
        while answer.count(b"\r\n\r\n") < (2 if answer.startswith(b"HTTP/1.1 101") else 1):
            part = connection.recv(4096)
            if not part:
                break
            answer += part
        return connection, answer
