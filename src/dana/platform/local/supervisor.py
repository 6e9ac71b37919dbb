"""Runs programs: each waits for the one before it, is watched, started again, and stopped in reverse order.

start ─► ready ─► watched ──ended or hangs──► wait (back off) ─► start
                      └─────── stop ─────────► stop signal ─► killed when it doesn't
"""

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dana.platform.local.programs import CannotStartError, Program, kill, spawn

WATCH_SECONDS = 0.1
HEALTH_SECONDS = 3.0
HUNG_AFTER_FAILURES = 4
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 10.0
STEADY_SECONDS = 30.0  # running this long forgives earlier crashes
LARGEST_LOG_BYTES = 50 * 1024 * 1024
TAIL_LINES = 8

Say = Callable[[str, str], None]
"""Told the program's name and what has happened to it."""


@dataclass
class _Running:
    program: Program
    log: Path
    process: subprocess.Popen[bytes]
    started_at: float = field(default_factory=time.monotonic)
    crashes: int = 0
    watcher: asyncio.Task[None] | None = None


class Supervisor:
    """Owns programs from start to stop. Use it on the main thread: programs live as long as that does."""

    def __init__(self, logs: Path, say: Say) -> None:
        self._logs = logs
        self._say = say
        self._running: list[_Running] = []
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def start(self, program: Program) -> None:
        """Start a program and return when it is ready; raises CannotStartError with what it said last."""
        log = self._logs / f"{program.name}.log"
        running = _Running(program, log, _spawn_logged(program, log))
        self._running.append(running)
        if not await _becomes_ready(running):
            raise CannotStartError(_why(running))
        running.watcher = asyncio.create_task(self._watch(running), name=f"watch {program.name}")

    async def stop(self) -> None:
        """Stop all in reverse order: whom others need goes last."""
        for running in reversed(self._running):
            if running.watcher:
                running.watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running.watcher
            await _stop(running)
        self._running.clear()

    def kill(self) -> None:
        """Kill everything at once: somebody is impatient."""
        for running in reversed(self._running):
            kill(running.process)

    async def _watch(self, running: _Running) -> None:
        """Wait for the program to end or to hang, and start it again, for ever."""
        failures = 0
        checked_at = time.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if running.process.poll() is not None:
                await self._start_again(running, f"ended with code {running.process.returncode}")
                failures = 0
            elif time.monotonic() - checked_at > HEALTH_SECONDS:
                failures = 0 if await _is_alive(running.program) else failures + 1
                checked_at = time.monotonic()
                _rotate(running.log)
                if failures >= HUNG_AFTER_FAILURES:
                    kill(running.process)
                    self._say(running.program.name, "hangs, so it was killed")

    async def _start_again(self, running: _Running, why: str) -> None:
        name = running.program.name
        running.process.wait()
        is_steady = time.monotonic() - running.started_at > STEADY_SECONDS
        running.crashes = 1 if is_steady else running.crashes + 1
        pause = min(FIRST_BACKOFF_SECONDS * 2 ** (running.crashes - 1), LONGEST_BACKOFF_SECONDS)
        self._say(name, f"{why}; starting it again (log: {running.log})")
        await asyncio.sleep(pause)
        running.started_at = time.monotonic()
        running.process = _spawn_logged(running.program, running.log)
        if await _becomes_ready(running):
            self._say(name, f"is back after {time.monotonic() - running.started_at + pause:.1f} s")


def _spawn_logged(program: Program, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        log.chmod(0o600)
        process = spawn(program, output)
    written = log.with_suffix(".pid.new")
    written.write_text(f"{process.pid}\n")
    written.rename(log.with_suffix(".pid"))  # in one step: others read it at any time
    return process


async def _becomes_ready(running: _Running) -> bool:
    """Wait for readiness; kills a program that takes too long."""
    program = running.program
    deadline = time.monotonic() + program.start_seconds
    while running.process.poll() is None:
        if await asyncio.to_thread(program.is_ready):
            return True
        if time.monotonic() > deadline:
            kill(running.process)
            running.process.wait()
            return False
        await asyncio.sleep(WATCH_SECONDS / 4)
    return False


async def _is_alive(program: Program) -> bool:
    return await asyncio.to_thread(program.is_alive or program.is_ready)


async def _stop(running: _Running) -> None:
    process = running.process
    if process.poll() is None:
        process.send_signal(running.program.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, running.program.stop_seconds)
        kill(process)
    process.wait()


def _why(running: _Running) -> str:
    code = running.process.returncode
    limit = running.program.start_seconds
    ended = f"ended with code {code}" if code is not None and code >= 0 else f"was not ready in {limit:.0f} s"
    lines = running.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    said = "".join(f"\n    {line}" for line in lines)
    return f"{running.program.name} {ended}; its last words (all: {running.log}):{said}"


def _rotate(log: Path) -> None:
    """Keep one older log; programs append, so emptying the file under them is safe."""
    if log.stat().st_size > LARGEST_LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".1.log"))
        with log.open("r+b") as file:
            file.truncate(0)
