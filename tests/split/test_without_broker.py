"""Separate processes over PostgreSQL and Valkey alone: the same promise, whoever dies."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dana.platform.local.programs import free_port
from tests.split.checks import kill_in_turn, settled
from tests.split.town import GENEROUS, Split, started

pytestmark = [pytest.mark.xdist_group("split"), pytest.mark.timeout(300)]

SERVICES = ["conversations", "ai", "knowledge", "realtime"]
PARTS = ["gateway", "valkey", "postgres"]


@pytest.fixture
def split() -> Iterator[Split]:
    with tempfile.TemporaryDirectory(prefix="dana-test-split-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user when we are root
        with started(Path(folder), free_port(), **GENEROUS) as running:
            yield running


async def test_each_is_killed_in_turn_and_nothing_is_lost_or_doubled(split: Split) -> None:
    async with settled(split) as town:
        await kill_in_turn(split, town, SERVICES + PARTS)
