"""The whole application over real HTTP, in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dana.app import compose, started
from dana.platform.http.serving import serve_http
from dana.platform.local.programs import free_port
from dana.platform.settings import Settings


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[str]:
    """Run all services and serve their API; yields where."""
    port, whole = free_port(), compose(settings)
    async with started(whole):
        stop, is_listening = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve_http(whole.http, "127.0.0.1", port, is_listening.set, stop))
        await is_listening.wait()
        yield f"http://127.0.0.1:{port}"
        stop.set()
        await serving
