"""A real RabbitMQ for these tests, and connections to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dana.platform.broker.connection import Connection
from dana.platform.broker.publishing import Publisher
from dana.platform.local.rabbitmq import RabbitMQ, start_rabbitmq


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares the broker, and the one relay of a shard, on one worker."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("broker"))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """One node."""
    running = start_rabbitmq(tmp_path_factory.mktemp("rabbitmq"))
    yield running
    running.stop()


@pytest.fixture
async def connection(broker: RabbitMQ) -> AsyncIterator[Connection]:
    """A connection for reading."""
    made = Connection(broker.url, "test")
    await made.start(10)
    yield made
    await made.stop()


@pytest.fixture
async def publisher(broker: RabbitMQ) -> AsyncIterator[Publisher]:
    """A publisher."""
    made = Publisher(broker.url)
    await made.start()
    yield made
    await made.stop()
