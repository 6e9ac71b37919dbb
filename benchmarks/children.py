"""Processes that a benchmark starts: on one core, gone with whoever started them, asked by lines of JSON."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

READY = b"ready"
START_SECONDS = 60.0
ANSWER_SECONDS = 240.0
LINE_BYTES = 16 * 1024 * 1024  # an answer may hold a latency of each socket
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)


class Child:
    """A process at work."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.port = 0
        """Where it listens, if it does."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def cpu_seconds(self) -> float:
        """The processor time that all its threads have had."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_kib(self) -> int:
        """The memory it holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024

    async def ready(self) -> None:
        """Return when it says that it is, and note the port that it names."""
        while not (line := await self._read(START_SECONDS)).startswith(READY):
            print(line.decode().rstrip(), file=sys.stderr)
        self.port = int([*line.split(), b"0"][1])

    async def ask(self, name: str, **arguments: Any) -> Any:
        """Let it do something, and return what it answers."""
        await self.tell(name, **arguments)
        return json.loads(await self._read(ANSWER_SECONDS))

    async def tell(self, name: str, **arguments: Any) -> None:
        """Let it do something; its answer comes with `answer`."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(json.dumps({"name": name, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()

    def kill(self) -> None:
        """Kill -9."""
        if self._process.returncode is None:
            self._process.kill()

    async def end(self) -> None:
        """Kill it, and return when it is gone."""
        self.kill()
        await self._process.wait()

    async def _read(self, seconds: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        if not line:
            raise SystemExit(f"A process of the benchmark ended with code {await self._process.wait()}.")
        return line


async def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    core: int | None = None,
    folder: Path | None = None,
) -> Child:
    """Start a process, pinned to a core if one is named, and wait until it is ready."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | dict(environment),
        cwd=folder,
        limit=LINE_BYTES,
        preexec_fn=_pinned(core),
    )
    child = Child(process)
    try:
        await child.ready()
    except BaseException:
        await child.end()
        raise
    return child


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the benchmarks."""
    return [sys.executable, "-m", module, *arguments]


@asynccontextmanager
async def ending(children: list[Child]) -> AsyncIterator[None]:
    """End all that are in the list at the end of the block."""
    try:
        yield
    finally:
        await asyncio.gather(*(child.end() for child in children))


async def answer(commands: Mapping[str, Callable[..., Any]]) -> None:
    """Be a child: say that one is ready, then do what is asked, until the asker is gone."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        arguments = json.loads(line)
        result = await commands[arguments.pop("name")](**arguments)
        print(json.dumps(result), flush=True)


def _pinned(core: int | None) -> Callable[[], None]:
    def ask_the_kernel() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if core is not None:
            os.sched_setaffinity(0, {core})

    return ask_the_kernel
