"""A Valkey of its own for each test here, because most of them break it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from dana.platform.cache import Caches
from dana.platform.local.valkey import Valkey as Server
from dana.platform.valkey import Valkey

MakeCaches = Callable[..., Awaitable[Caches]]


@pytest.fixture
async def make_caches(server: Server) -> AsyncIterator[MakeCaches]:
    """Make caches as another process would have them: a memory and a connection of their own."""
    made: list[Caches] = []

    async def make(**bounds: int) -> Caches:
        caches = Caches(Valkey(server.url), **bounds)
        made.append(caches)
        await caches.start()
        return caches

    yield make
    for caches in made:
        await caches.stop()
