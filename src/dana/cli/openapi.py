"""`dana openapi`: the API's description, without a database or a server."""

import asyncio
import logging
import os
import sys
import tempfile
from typing import Any

import structlog

from dana.app import compose
from dana.platform.settings import Settings
from dana.platform.telemetry import configure_logging

NOWHERE = {
    "DANA_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "DANA_REDIS_URL": "redis://127.0.0.1:1/0",
}


def openapi() -> None:
    """Print the document as JSON."""
    configure_logging("WARNING")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(NOWHERE | {"DANA_DATA": folder, "DANA_PUBLIC_URL": "/"})
        document = asyncio.run(_document())
    sys.stdout.write(document.decode() + "\n")


async def _document() -> bytes:
    """Ask the application itself, so that what is printed is what is served."""
    body = b""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal body
        body += message.get("body", b"")

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/openapi.json",
        "raw_path": b"/openapi.json",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    await compose(Settings.from_environment()).http(scope, receive, send)
    return body
