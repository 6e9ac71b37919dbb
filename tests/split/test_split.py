"""Each service in its own process: whichever is restarted or dies, nobody loses or hears anything twice."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dana.platform.gateway.model import Gateway, Upstream
from dana.platform.local.envoy import _tell
from dana.platform.local.programs import free_port
from dana.platform.local.rabbitmq import start_rabbitmq
from tests.split.checks import is_answered_once, kill_in_turn, nothing_is_lost_or_doubled, settled
from tests.split.town import GENEROUS, SOMETHING_OF_EACH, Split, Town, started

pytestmark = [pytest.mark.xdist_group("split"), pytest.mark.timeout(300)]

NAMES = ["auth", "conversations", "knowledge", "ai", "placement", "realtime", "realtime-2", "web"]


@pytest.fixture(scope="module")
def split() -> Iterator[Split]:
    with tempfile.TemporaryDirectory(prefix="dana-test-split-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user when we are root
        broker = start_rabbitmq(Path(folder) / "rabbitmq")
        settings = GENEROUS | {"DANA_RABBITMQ_URL": broker.url}
        try:
            with started(Path(folder), free_port(), "--replicas", "realtime=2", **settings) as running:
                yield running
        finally:
            broker.stop()


@pytest.fixture
async def town(split: Split) -> AsyncIterator[Town]:
    async with settled(split) as town:
        yield town


async def test_every_service_answers_in_its_own_process(split: Split, town: Town) -> None:
    assert len({split.pid(name) for name in NAMES}) == len(NAMES)
    for path in SOMETHING_OF_EACH.values():
        await town.must("GET", path, token=town.token)
    assert (await town.http.post("/internal/v1/knowledge/search", json={})).status_code == 404
    description = await town.must("GET", "/openapi.json")
    assert {"/api/v1/conversations", "/api/v1/assistant", "/api/v1/auth/me"} <= set(description["paths"])
    await is_answered_once(town, await town.ask_assistant())


async def test_all_are_restarted_in_turn_and_no_request_fails(split: Split, town: Town) -> None:
    before = {name: split.pid(name) for name in NAMES}
    retries = _retries(split)
    async with town.busy():
        question = await town.ask_assistant()
        news = await asyncio.to_thread(split.restart)
    assert [one["process"] for one in news if "replaced" in one["says"]] == NAMES
    assert town.failures == []
    assert _retries(split) == retries  # nor did the gateway have to try anything twice
    assert all(split.pid(name) != pid for name, pid in before.items())
    assert not any(_is_running(pid) for pid in before.values())
    assert town.reader
    assert set(town.reader.codes) == {1012}  # "restarting": come back at once
    await nothing_is_lost_or_doubled(town)
    await is_answered_once(town, question)


async def test_each_is_killed_in_turn_and_nothing_is_lost_or_doubled(split: Split, town: Town) -> None:
    await kill_in_turn(split, town, NAMES)


def _retries(split: Split) -> int:
    """Count what the gateway has sent a second time."""
    gateway = Gateway(0, split.data / "gateway", (), ())
    counted = _tell(gateway, "GET", r"/stats?filter=upstream_rq_retry$").splitlines()
    assert len(counted) >= len(Upstream)
    return sum(int(line.rpartition(":")[2]) for line in counted)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_names_are_those_of_the_services() -> None:
    assert {name.partition("-")[0] for name in NAMES} == set(Upstream)
