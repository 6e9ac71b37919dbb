"""A model server that can misbehave, and a desk to answer at."""

from collections.abc import AsyncIterator, Callable

import pytest

from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.ai.actions.desk import Desk
from dana.services.ai.adapters.models import ModelServers, Patience
from loadtest.provider import Simulator, running
from tests.services.ai.desks import make_desk

IMPATIENT = Patience(
    connect_seconds=1,
    first_word_seconds=0.6,
    stall_seconds=0.4,
    total_seconds=5,
    first_pause_seconds=0.02,
    longest_pause_seconds=0.3,
)


@pytest.fixture
async def simulator() -> Simulator:
    return Simulator(piece_seconds=0.001)


@pytest.fixture
async def base_url(simulator: Simulator) -> AsyncIterator[str]:
    async with running(simulator) as address:
        yield address


@pytest.fixture
async def models() -> AsyncIterator[ModelServers]:
    servers = ModelServers(is_private_allowed=True, patience=IMPATIENT)
    yield servers
    await servers.close()


@pytest.fixture
async def desk(settings: Settings, shards_of: Callable[[str], Shards], models: ModelServers) -> Desk:
    return make_desk(settings, shards_of("ai"), models)
