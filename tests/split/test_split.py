"""Each service in its own process: whichever is restarted or dies, nobody loses or hears anything twice."""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from dana.platform.gateway.model import Gateway, Upstream
from dana.platform.local.envoy import _tell
from dana.platform.local.programs import free_port
from tests.split.town import SOMETHING_OF_EACH, Chat, Reader, Split, Town, started

pytestmark = [pytest.mark.xdist_group("split"), pytest.mark.timeout(300)]

GENEROUS = {"DANA_LIMITS_FACTOR": "1000"}
NAMES = ["auth", "conversations", "knowledge", "ai", "placement", "realtime", "realtime-2", "web"]


@pytest.fixture(scope="module")
def split() -> Iterator[Split]:
    with tempfile.TemporaryDirectory(prefix="dana-test-split-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user when we are root
        with started(Path(folder), free_port(), "--replicas", "realtime=2", **GENEROUS) as running:
            yield running


@pytest.fixture
async def town(split: Split) -> AsyncIterator[Town]:
    async with httpx.AsyncClient(base_url=split.url, timeout=60) as http:
        town = Town(split.url, http)
        await town.settle()
        yield town
        await town.stop()


async def test_every_service_answers_in_its_own_process(split: Split, town: Town) -> None:
    assert len({split.pid(name) for name in NAMES}) == len(NAMES)
    for path in SOMETHING_OF_EACH.values():
        await town.must("GET", path, token=town.token)
    assert (await town.http.post("/internal/v1/knowledge/search", json={})).status_code == 404
    description = await town.must("GET", "/openapi.json")
    assert {"/api/v1/conversations", "/api/v1/assistant", "/api/v1/auth/me"} <= set(description["paths"])
    await _is_answered_once(town, await town.ask_assistant())


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
    await _nothing_is_lost_or_doubled(town)
    await _is_answered_once(town, question)


async def test_each_is_killed_in_turn_and_nothing_is_lost_or_doubled(split: Split, town: Town) -> None:
    town.patience_seconds = 60
    questions = []
    async with town.busy():
        for name in NAMES:
            questions.append(await town.ask_assistant())
            killed = split.kill(name)
            await town.until(partial(_is_replaced, split, name, killed))
            if path := SOMETHING_OF_EACH.get(name):
                await town.until(partial(town.is_answering, path))
    assert town.failures == []
    await _nothing_is_lost_or_doubled(town)
    for question in questions:
        await _is_answered_once(town, question)


async def _nothing_is_lost_or_doubled(town: Town) -> None:
    """What was acknowledged stands once in the database, and came out once, in order, at every socket."""
    assert town.reader
    assert len(town.acknowledged) > 50, "the load did not run"
    for chat in town.chats:
        written = {text for text, conversation in town.acknowledged.items() if conversation == chat.id}
        stored = await town.history(chat)
        assert Counter(message["text"] for message in stored if message["author"] != "system") == Counter(
            written
        )
        for reader in (chat.reader, town.reader):
            await town.until(partial(_has_heard, reader, chat, stored))
            assert reader.cursors == sorted(set(reader.cursors))


def _retries(split: Split) -> int:
    """Count what the gateway has sent a second time."""
    gateway = Gateway(0, split.data / "gateway", (), ())
    counted = _tell(gateway, "GET", r"/stats?filter=upstream_rq_retry$").splitlines()
    assert len(counted) >= len(Upstream)
    return sum(int(line.rpartition(":")[2]) for line in counted)


def _has_heard(reader: Reader, chat: Chat, stored: list[dict[str, Any]]) -> bool:
    return [message for message in reader.messages if message["conversation_id"] == chat.id] == stored


def _is_replaced(split: Split, name: str, pid: int) -> bool:
    return split.pid(name) != pid


async def _is_answered_once(town: Town, chat: Chat) -> None:
    """The assistant quotes the knowledge, once."""
    await town.until(lambda: any(message["author"] == "assistant" for message in chat.reader.messages))
    answers = [message for message in await town.history(chat) if message["author"] == "assistant"]
    assert len(answers) == 1, answers
    assert answers[0]["citations"], answers
    await chat.reader.stop()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_names_are_those_of_the_services() -> None:
    assert {name.partition("-")[0] for name in NAMES} == set(Upstream)
