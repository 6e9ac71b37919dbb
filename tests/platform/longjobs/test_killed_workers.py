"""Workers killed in the middle of chunks, again and again: each chunk is done once all the same."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dana.contracts.events import EVENTS_BY_TYPE
from dana.contracts.ids import OrgId
from dana.contracts.views import JobState
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from tests.platform.longjobs.rehearsal import GROUP, Counting, RehearsalAdvanced

ROOT = Path(__file__).parents[3]
CHUNKS = 40
DEATHS = 6
PATIENCE_SECONDS = 90


@contextmanager
def a_worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "DANA_DATA": str(settings.data_dir),
        "DANA_DATABASE_URL": settings.database_url,
        "DANA_REDIS_URL": settings.redis_url,
        "DANA_SECRETS": str(settings.data_dir / "secrets"),
    }
    command = [sys.executable, "-m", "tests.platform.longjobs.worker", str(CHUNKS)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as worker:
        try:
            yield worker
        finally:
            worker.send_signal(signal.SIGKILL)


async def says(worker: subprocess.Popen[bytes], what: bytes) -> None:
    assert worker.stdout is not None
    while (line := await asyncio.to_thread(worker.stdout.readline)) != what + b"\n":
        assert line, "the worker has ended"


async def dies_at_work(settings: Settings, chunks: int, seconds_later: float) -> None:
    """Let a worker do a few chunks, and kill it in the middle of another, or right after it."""
    with a_worker(settings) as worker:
        for _ in range(chunks):
            await says(worker, b"chunk")
        await asyncio.sleep(seconds_later)


async def test_each_chunk_is_done_once_whoever_is_killed(
    settings: Settings, shards_of: Callable[[str], Shards], org: OrgId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVENTS_BY_TYPE, "rehearsal_advanced", RehearsalAdvanced)
    counting = Counting(shards_of("conversations"), CHUNKS)
    with a_worker(settings) as first:
        await says(first, b"ready")  # it has subscribed
        job = await counting.ask(org)
        await says(first, b"chunk")
    for death in range(DEATHS):
        await dies_at_work(settings, chunks=1 + death % 4, seconds_later=0.011 * death)
    with a_worker(settings):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (job := await counting.find(org, job.id)).state is not JobState.DONE:
                assert job.state is JobState.RUNNING
                await asyncio.sleep(0.1)
    assert job.done == CHUNKS
    assert await counting.said(org) == [f"number {n}" for n in range(1, CHUNKS + 1)]
    for shard in await counting.shards.names():
        await (await counting.shards.pool(shard)).execute("select platform.subscribe($1, '{}', '{}')", GROUP)
