"""A thin ASGI layer: request id, trace id, one access log line and one histogram sample per request."""

import re
import time
from collections.abc import Iterable
from uuid import uuid4

import structlog

from dana.platform import positions
from dana.platform.http.asgi import Application, Message, Receive, Scope, Send
from dana.platform.http.limited import HEADERS as LIMIT_HEADERS
from dana.platform.positions import ANYTHING, HEADER, Position, Seen
from dana.platform.telemetry import REQUESTS, request_context

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_QUIET = ("/healthz", "/readyz", "/metrics")

log = structlog.get_logger("access")


class Observed:
    """Wraps an application."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, measured."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _matching(_REQUEST_ID, headers.get(b"x-request-id")) or uuid4().hex
        trace = _TRACEPARENT.match(headers.get(b"traceparent", b"").decode("latin-1"))
        request_context.set({"request_id": request_id, "trace_id": trace.group(1) if trace else request_id})
        scope.setdefault("state", {})["request_id"] = request_id
        known = _seen(scope["method"], headers.get(HEADER.encode()))
        positions.seen.set(known)
        status = 500
        answered: float | None = None

        async def send_observed(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                if _is_stream(message["headers"]):
                    answered = time.perf_counter()
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    *scope["state"].get(LIMIT_HEADERS, ()),
                ]
                if known.at is not None:
                    message["headers"].append((HEADER.encode(), str(known.at).encode()))
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_observed)
        finally:
            self._record(scope, status, (answered or time.perf_counter()) - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = str(scope.get("path_template") or "other")
        REQUESTS.labels(str(scope["method"]), route, str(status)).observe(seconds)
        if scope["path"] not in _QUIET:
            log.info(
                "request",
                method=scope["method"],
                route=route,
                status=status,
                duration_ms=round(seconds * 1000, 2),
            )


def _seen(method: str, header: bytes | None) -> Seen:
    """Take what the client has seen. One that says nothing of positions is never shown anything old."""
    text = (header or b"").decode("latin-1")
    position = Position.parse(text)
    carries_positions = position is not None or text == ANYTHING
    return Seen(position, may_lag=carries_positions and method in ("GET", "HEAD"))


def _is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether the answer goes on for as long as the client likes, which says nothing about us."""
    return any(name == b"content-type" and said.startswith(b"text/event-stream") for name, said in headers)


def _matching(pattern: re.Pattern[str], value: bytes | None) -> str | None:
    text = (value or b"").decode("latin-1")
    return text if pattern.match(text) else None
