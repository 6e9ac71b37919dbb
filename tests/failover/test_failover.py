"""The primary is killed while agents write through the API, and nothing that was acknowledged is lost.

Three nodes under Patroni, the whole of Dana with its gateway, and a drill that writes, reads and listens.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.dana import running
from deploy.failover.cluster import Cluster, running_cluster
from deploy.failover.drill import Drill, Found
from deploy.failover.patroni import Node

PATIENCE_SECONDS = 90.0  # a node's lease runs out after 20 s, and the machine may be busy
MESSAGES = 40  # so many before and after each kill

# A crash of the machine may lose data here, the crash of a process may not. pg_rewind needs full pages.
FORGETFUL = {"fsync": "off"}

pytestmark = [pytest.mark.xdist_group("failover"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="dana-failover-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with running_cluster(home, is_synchronous=True, settings=FORGETFUL) as nodes:
            yield nodes


@pytest.fixture(scope="module")
async def dana(cluster: Cluster) -> AsyncIterator[tuple[str, Path]]:
    async with running({"DANA_DATABASE_URL": cluster.dsn}) as (url, data_dir):
        yield url, data_dir / "logs"


@pytest.fixture(scope="module")
async def drill(dana: tuple[str, Path]) -> AsyncIterator[Drill]:
    drill = Drill(dana[0])
    async with drill.prepared():
        yield drill


@pytest.mark.parametrize("kill", [Cluster.kill_postgres, Cluster.kill_unsent])
async def test_a_killed_primary_costs_a_pause_and_nothing_else(
    cluster: Cluster, dana: tuple[str, Path], drill: Drill, kill: Callable[[Cluster], Node]
) -> None:
    await asyncio.to_thread(cluster.heal)
    processes = running_parts(dana[1])
    repeated = drill.tally.repeated
    async with drill.under_load():
        await drill.acknowledgements_after(time.monotonic(), MESSAGES, PATIENCE_SECONDS)
        killed = await asyncio.to_thread(kill, cluster)
        await asyncio.to_thread(cluster.wait_for_another_leader, killed)
        await drill.acknowledgements_after(time.monotonic(), MESSAGES, PATIENCE_SECONDS)
    assert drill.tally.wrong == []
    assert drill.tally.repeated > repeated
    await drill.ask_assistant(PATIENCE_SECONDS)
    found = await drill.read_back()
    assert found == Found(lost=[], doubled=[], out_of_order=[], unheard=[], heard_twice=[])
    assert running_parts(dana[1]) == processes


def running_parts(logs: Path) -> dict[str, str]:
    """Return the process of each of Dana's parts; one that was started again has another."""
    return {file.stem: file.read_text() for file in logs.glob("*.pid")}
