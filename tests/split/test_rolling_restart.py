"""All real-time nodes are restarted under many clients: nobody misses or doubles anything, no storm comes.

`python -m benchmarks.rolling_restart` does the same with 5,000 clients.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.dana import UNLIMITED
from benchmarks.rolling_restart import OPTIONS, roll
from dana.platform.local.programs import free_port
from dana.services.realtime.models import RETURNS_PER_SECOND
from tests.split.town import Split, started

pytestmark = [pytest.mark.xdist_group("split"), pytest.mark.timeout(300)]

CLIENTS = 1_000


@pytest.fixture
def split() -> Iterator[Split]:
    with tempfile.TemporaryDirectory(prefix="dana-test-split-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user when we are root
        options = OPTIONS[1:]
        with started(Path(folder), free_port(), *options, **UNLIMITED) as running:
            yield running


async def test_a_rolling_restart_costs_nobody_an_event_and_brings_no_storm(split: Split) -> None:
    async def restart() -> None:
        news = await asyncio.to_thread(split.restart, "realtime")
        replaced = [one["process"] for one in news if "replaced" in one["says"]]
        assert replaced == ["realtime", "realtime-2"]

    seen = await roll(split.url, split.data, CLIENTS, restart)

    assert seen["events"] > CLIENTS
    assert (seen["missed"], seen["duplicated"], seen["out_of_order"], seen["resyncs"]) == (0, 0, 0, 0), seen
    # Everybody has been sent away by each node that had them, and told why.
    assert seen["cut"]["1012"] >= CLIENTS, seen
    # Goodbyes are said in even portions: that takes so long at least, and longer on a slow machine.
    assert seen["goodbye_seconds"] > 0.5 * seen["cut"]["1012"] / RETURNS_PER_SECOND, seen
