"""A real-time node beside the application."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dana.platform.local.programs import free_port
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.services.realtime.listening import Node


@pytest.fixture(scope="module")
async def node(settings: Settings) -> AsyncIterator[Node]:
    """A real-time node."""
    port = free_port()
    shards = Shards(settings, "realtime")
    running = Node.make(replace(settings, realtime_port=port), shards, port)
    await running.start()
    yield running
    await running.stop()
    await shards.close()
