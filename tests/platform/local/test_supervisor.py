"""The supervisor, on small programs that crash, hang, refuse and talk."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dana.platform.local import supervisor as supervision
from dana.platform.local.programs import CannotStartError, Program
from dana.platform.local.supervisor import Supervisor

STEADY = """
import pathlib, signal, sys, time
journal = pathlib.Path(sys.argv[1])
def note(word):
    with journal.open("a") as file:
        file.write(f"{sys.argv[2]} {word}\\n")
def stop(*_):
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("started")
while True:
    time.sleep(0.01)
"""


class Journal:
    """What the programs wrote about themselves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.news: list[str] = []

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def program(self, name: str, code: str = STEADY, **options: object) -> Program:
        command = (sys.executable, "-c", code, str(self.path), name)
        return Program(name, command, **({"is_ready": lambda: f"{name} started" in self.lines()} | options))  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
async def supervisor(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Supervisor]:
    monkeypatch.setattr(supervision, "HEALTH_SECONDS", 0.2)
    running = Supervisor(tmp_path / "logs", lambda name, news: journal.news.append(f"{name} {news}"))
    yield running
    await running.stop()


def pid_of(tmp_path: Path, name: str) -> int:
    return int((tmp_path / "logs" / f"{name}.pid").read_text())


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def test_each_waits_for_the_one_before_and_stops_before_it(
    supervisor: Supervisor, journal: Journal
) -> None:
    for name in ("first", "second", "third"):
        await supervisor.start(journal.program(name))
        assert journal.lines()[-1] == f"{name} started"
    await supervisor.stop()
    assert journal.lines()[3:] == ["third stopped", "second stopped", "first stopped"]


async def test_a_killed_program_comes_back(supervisor: Supervisor, journal: Journal, tmp_path: Path) -> None:
    await supervisor.start(journal.program("phoenix"))
    os.kill(pid_of(tmp_path, "phoenix"), signal.SIGKILL)
    await until(lambda: journal.lines().count("phoenix started") == 2)
    await until(lambda: len(journal.news) == 2)
    assert "ended with code -9; starting it again" in journal.news[0]
    assert "is back after" in journal.news[1]


async def test_a_program_that_keeps_crashing_is_started_less_and_less_often(
    supervisor: Supervisor, journal: Journal
) -> None:
    crash = journal.path.with_name("crash")
    weak = f"{STEADY}    if journal.with_name('crash').exists(): break\n"
    await supervisor.start(journal.program("weak", weak))
    began = time.monotonic()
    crash.touch()
    await until(lambda: journal.lines().count("weak started") >= 5)
    assert time.monotonic() - began > 0.1 + 0.2 + 0.4  # the pauses before the second, third and fourth


async def test_a_hanging_program_is_killed_and_comes_back(
    supervisor: Supervisor, journal: Journal, tmp_path: Path
) -> None:
    frozen: list[int] = []

    def is_alive() -> bool:
        return pid_of(tmp_path, "frozen") not in frozen

    await supervisor.start(journal.program("frozen", is_alive=is_alive))
    pid = pid_of(tmp_path, "frozen")
    os.kill(pid, signal.SIGSTOP)
    frozen.append(pid)
    await until(lambda: journal.lines().count("frozen started") == 2)
    assert any("hangs, so it was killed" in news for news in journal.news)


async def test_one_that_never_starts_tells_its_last_words(supervisor: Supervisor, journal: Journal) -> None:
    program = journal.program("broken", "print('the disk is gone'); raise SystemExit(7)")
    with pytest.raises(CannotStartError, match=r"broken ended with code 7(.|\n)*the disk is gone"):
        await supervisor.start(program)


async def test_one_that_is_never_ready_is_killed(supervisor: Supervisor, journal: Journal) -> None:
    program = journal.program("slow", is_ready=lambda: False, start_seconds=0.3)
    with pytest.raises(CannotStartError, match="slow was not ready in 0 s"):
        await supervisor.start(program)


async def test_a_large_log_is_put_aside_while_the_program_writes(
    supervisor: Supervisor, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "LARGEST_LOG_BYTES", 1000)
    talkative = STEADY.replace("time.sleep(0.01)", "time.sleep(0.01); print('x' * 50, flush=True)")
    await supervisor.start(journal.program("talkative", talkative))
    log = tmp_path / "logs" / "talkative.log"
    await until(lambda: log.with_suffix(".1.log").exists())
    assert log.stat().st_mode & 0o777 == 0o600
    assert set(log.read_bytes()) <= set(b"x\n")
