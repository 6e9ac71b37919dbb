"""A Valkey of a test's own, to be filled, stopped and killed, and a client of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dana.platform.local.valkey import Valkey as Server
from dana.platform.local.valkey import start_valkey
from dana.platform.valkey import Valkey


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = start_valkey(tmp_path)
    yield running
    running.stop()


@pytest.fixture
async def valkey(server: Server) -> AsyncIterator[Valkey]:
    client = Valkey(server.url)
    assert await client.start()
    yield client
    await client.stop()
