"""A load client that costs little: HTTP/1.1 over kept-alive connections, one request at a time on each."""

import asyncio
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import httptools
import msgspec

REQUEST_TIMEOUT_SECONDS = 30.0


class RequestFailedError(RuntimeError):
    """The server answered with an error."""


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, received: bytes) -> None:
        self._parser.feed_data(received)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), b"".join(self._body)
        self._body = []
        self.is_open = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        if self._answer and not self._answer.done():
            self._answer.set_result((status, body))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed by the server"))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None  # noqa: S101 - set by connection_made
        self._transport.write(request)
        return await asyncio.wait_for(self._answer, REQUEST_TIMEOUT_SECONDS)


class Client:
    """Sends JSON to one server; connections are reused, as many as are needed at once."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._idle: deque[_Connection] = deque()

    async def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, key: str | None = None
    ) -> Any:
        """Return the decoded answer; raises RequestFailedError on 4xx and 5xx."""
        content = b"" if body is None else msgspec.json.encode(body)
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: {self._host}:{self._port}",
            f"content-length: {len(content)}",
        ]
        if content:
            lines.append("content-type: application/json")
        if token:
            lines.append(f"authorization: Bearer {token}")
        if key:
            lines.append(f"idempotency-key: {key}")
        request = "\r\n".join(lines).encode() + b"\r\n\r\n" + content
        connection = await self._connection()
        status, answer = await connection.send(request)
        if connection.is_open:
            self._idle.append(connection)
        if status >= 400:
            raise RequestFailedError(f"{method} {path}: {status} {answer[:300].decode(errors='replace')}")
        return msgspec.json.decode(answer) if answer else None

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection
