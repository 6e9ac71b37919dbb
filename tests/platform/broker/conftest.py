"""A real RabbitMQ for these tests, and connections to it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from dana.platform.broker.connection import Connection
from dana.platform.broker.publishing import Publisher
from dana.platform.local.rabbitmq import RabbitMQ, start_rabbitmq


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
