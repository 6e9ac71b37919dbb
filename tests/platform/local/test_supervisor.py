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


async def test_a_group_starts_at_once_and_stops_before_those_it_needs(
    supervisor: Supervisor, journal: Journal
) -> None:
    await supervisor.start(journal.program("ground"))
    both = [
        journal.program(name, is_ready=lambda: {"left started", "right started"} <= set(journal.lines()))
        for name in ("left", "right")
    ]
    await supervisor.start(*both)  # neither is ready before the other has begun
    await supervisor.stop()
    assert journal.lines()[-1] == "ground stopped"
    assert set(journal.lines()[3:5]) == {"left stopped", "right stopped"}


async def test_a_program_is_replaced_without_a_moment_in_which_none_is_ready(
    supervisor: Supervisor, journal: Journal, tmp_path: Path
) -> None:
    old = journal.program("old", is_ready=lambda: "old started" in journal.lines())
    new = journal.program("new", is_ready=lambda: "new started" in journal.lines())
    await supervisor.start(old)

    async def switch() -> None:
        assert journal.lines() == ["old started", "new started"]

    await supervisor.replace(old, new, switch)
    assert journal.lines() == ["old started", "new started", "old stopped"]
    os.kill(pid_of(tmp_path, "new"), signal.SIGKILL)
    await until(lambda: journal.lines().count("new started") == 2)  # it is watched
    await supervisor.stop()
    assert journal.lines()[-1] == "new stopped"
    assert journal.lines().count("old stopped") == 1


async def test_one_that_does_not_become_ready_replaces_nothing(
    supervisor: Supervisor, journal: Journal, tmp_path: Path
) -> None:
    old = journal.program("worker")
    broken = journal.program("worker", "print('no such file'); raise SystemExit(3)", is_ready=lambda: False)
    await supervisor.start(old)
    pid = pid_of(tmp_path, "worker")

    async def switch() -> None:
        pytest.fail("there is nothing to switch to")

    with pytest.raises(CannotStartError, match=r"worker ended with code 3(.|\n)*no such file"):
        await supervisor.replace(old, broken, switch)
    assert pid_of(tmp_path, "worker") == pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: journal.lines().count("worker started") == 2)  # the old one is still watched


async def test_it_tells_when_a_program_is_ready_and_when_not(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, bool]] = []
    supervisor = Supervisor(
        tmp_path / "logs", lambda *_: None, lambda program, is_ready: told.append((program.name, is_ready))
    )
    await supervisor.start(journal.program("one"))
    os.kill(pid_of(tmp_path, "one"), signal.SIGKILL)
    await until(lambda: len(told) == 3)
    assert told == [("one", True), ("one", False), ("one", True)]
    await supervisor.stop()
