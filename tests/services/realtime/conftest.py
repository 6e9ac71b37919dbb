"""One real-time node with its own port, and writers."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from dana.contracts.ids import OrgId
from dana.platform.local.programs import free_port
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.realtime.adapters import TRANSPORTS
from tests.services.realtime.listening import Node, Writer


@pytest.fixture(scope="session", params=sorted(TRANSPORTS))
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Run everything here over each transport: whoever has a socket can't tell them apart."""
    return replace(settings, realtime_transport=request.param)


@pytest.fixture
async def node(settings: Settings) -> AsyncIterator[Node]:
    """A running node."""
    port = free_port()
    shards = Shards(settings, "realtime")
    running = Node.make(replace(settings, realtime_port=port), shards, port)
    await running.start()
    yield running
    await running.stop()
    await shards.close()


@pytest.fixture
async def writer(node: Node, org: OrgId, shards_of: Callable[[str], Shards]) -> Writer:
    """A service that writes events of the organization and publishes them."""
    shards = shards_of("conversations")
    shards.on_commit.append(node.fanout.committed)
    return Writer(org, shards)
