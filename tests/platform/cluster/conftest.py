"""One cluster for the tests of this folder; each test leaves it whole, or is the last."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.platform.cluster.six import Six


@pytest.fixture
async def six(tmp_path: Path) -> AsyncIterator[Six]:
    cluster = Six(tmp_path)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()
