"""A real RabbitMQ for these tests, and connections to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

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


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that may be entered by PostgreSQL's account."""
    folder = tmp_path_factory.mktemp("home")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    return folder
