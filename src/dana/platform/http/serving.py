"""Serving an application on a port until told to stop; then running requests may end."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn

from dana.platform.http.asgi import Application

DRAIN_SECONDS = 8
BACKLOG_CONNECTIONS = 2048
KEEP_ALIVE_SECONDS = 75  # longer than the gateway's, so that it never meets a closing connection


async def serve_http(
    app: Application,
    host: str,
    port: int,
    on_listening: Callable[[], None],
    stop: asyncio.Event,
    *,
    drain: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Listen, say so, and serve until `stop`; a port in use ends the process with a clear log line.

    `drain` is awaited before the end: streams would keep it from coming.
    """
    server = _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the gateway says in a header of its own where a request is from
            backlog=BACKLOG_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    serving = asyncio.create_task(server.serve())
    listening = asyncio.create_task(server.is_listening.wait())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([serving, listening], return_when=asyncio.FIRST_COMPLETED)
        on_listening()
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        if drain is not None and not serving.done():
            await drain()
    finally:
        server.should_exit = True
        await serving
        for task in (listening, stopping):
            task.cancel()


class _Server(uvicorn.Server):
    """Leaves signals to others, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port."""
        await super().startup(sockets)
        self.is_listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
