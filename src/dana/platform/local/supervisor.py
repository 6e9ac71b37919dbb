"""Runs programs: each waits for those before it, is watched, started again, and stopped in reverse order.

start ─► ready ─► watched ──ended or hangs──► wait (back off) ─► start
                      ├─────── stop ─────────► stop signal ─► killed when it doesn't
                      └─────── replace ──────► another becomes ready ─► switch ─► stop
"""

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
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
Changed = Callable[[Program, bool], None]
"""Told when a program becomes ready, and when it no longer is."""


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

    def __init__(self, logs: Path, say: Say, on_change: Changed | None = None) -> None:
        self._logs = logs
        self._say = say
        self._tell: Changed = on_change or (lambda *_: None)
        self._groups: list[list[_Running]] = []
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def start(self, *programs: Program) -> None:
        """Start programs that don't need each other, and return when all are ready.

        Raises CannotStartError with what the first that failed said last.
        """
        group: list[_Running] = []
        self._groups.append(group)  # first, so that `stop` ends those that were begun, whatever happens
        group.extend(self._spawn(program) for program in programs)
        for running, is_ready in zip(group, await asyncio.gather(*map(_becomes_ready, group)), strict=True):
            if not is_ready:
                raise CannotStartError(_why(running))
        for running in group:
            self._begin_to_watch(running)

    async def replace(self, old: Program, new: Program, switch: Callable[[], Awaitable[None]]) -> None:
        """Start the new beside the old; once it is ready and `switch` is done, stop the old.

        Raises CannotStartError when the new one doesn't become ready; then the old one goes on.
        """
        group = next(group for group in self._groups if any(one.program is old for one in group))
        leaving = next(one for one in group if one.program is old)
        coming = self._spawn(new)
        is_ready = False
        try:
            is_ready = await _becomes_ready(coming)
        finally:
            if not is_ready:
                kill(coming.process)
                coming.process.wait()
                _write_pid(leaving.log, leaving.process.pid)
        if not is_ready:
            raise CannotStartError(_why(coming))
        group.append(coming)
        self._begin_to_watch(coming)
        await switch()
        await _end(leaving)
        group.remove(leaving)

    async def stop(self) -> None:
        """Stop all in reverse order: whom others need goes last."""
        for group in reversed(self._groups):
            await asyncio.gather(*map(_end, group))
        self._groups.clear()

    def kill(self) -> None:
        """Kill everything at once: somebody is impatient."""
        for group in reversed(self._groups):
            for running in group:
                kill(running.process)

    def _spawn(self, program: Program) -> _Running:
        log = self._logs / f"{program.name}.log"
        return _Running(program, log, _spawn_logged(program, log))

    def _begin_to_watch(self, running: _Running) -> None:
        self._tell(running.program, True)
        running.watcher = asyncio.create_task(self._watch(running), name=f"watch {running.program.name}")

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
        self._tell(running.program, False)
        self._say(name, f"{why}; starting it again (log: {running.log})")
        await asyncio.sleep(pause)
        running.started_at = time.monotonic()
        running.process = _spawn_logged(running.program, running.log)
        if await _becomes_ready(running):
            self._tell(running.program, True)
            self._say(name, f"is back after {time.monotonic() - running.started_at + pause:.1f} s")


def _spawn_logged(program: Program, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        log.chmod(0o600)
        process = spawn(program, output)
    _write_pid(log, process.pid)
    return process


def _write_pid(log: Path, pid: int) -> None:
    written = log.with_suffix(".pid.new")
    written.write_text(f"{pid}\n")
    written.rename(log.with_suffix(".pid"))  # in one step: others read it at any time


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


async def _end(running: _Running) -> None:
    """Watch it no more, and stop it."""
    if running.watcher:
        running.watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running.watcher
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
