"""A Dana that really runs, a network that can be cut, and a browser: what journeys are made of."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
from playwright.async_api import Browser, async_playwright

READY_SECONDS = 120.0
STOP_SECONDS = 40.0
ROOT = Path(__file__).parents[1]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


SIGNS: dict[str, Callable[[list[bytes]], bool]] = {
    "services": lambda command: b"run" in command and b"all" in command,
    "valkey": lambda command: Path(command[0].decode()).name.startswith("valkey"),
    "gateway": lambda command: Path(command[0].decode()).name == "envoy",
    "postgres": lambda command: Path(command[0].decode()).name == "postgres",
}


class RunningDana:
    """`dana up` as a person starts it: own port, own data folder, all parts real."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it is ready; raises RuntimeError with what it said when it stops instead."""
        command = [
            sys.executable,
            "-m",
            "dana",
            "up",
            "--port",
            str(self.port),
            "--data",
            str(self.folder / "data"),
        ]
        with (self.folder / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until every part answers through the gateway."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "up.log").read_text(errors="replace")[-4000:]
                self.stop()
                raise RuntimeError(f"Dana did not become ready. It said:\n{said}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop as Ctrl-C does."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise
        finally:
            self._process = None

    def kill(self, part: str = "services") -> None:
        """Kill -9 one part: services, valkey, gateway or postgres. The supervisor must bring it back."""
        if self._process is None:
            raise RuntimeError("Dana is not running.")
        sign = SIGNS[part]
        found = [pid for pid in descendants(self._process.pid) if sign(command_line(pid))]
        if not found:
            raise RuntimeError(f"No process runs the {part}.")
        os.kill(found[0], signal.SIGKILL)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


class Network:
    """The line between a browser and Dana, as a proxy of bytes that can be cut and mended."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.url = ""

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"http://localhost:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close everything."""
        self.cut()
        if self._server is not None:
            self._server.close()

    def cut(self) -> None:
        """Break every line and refuse new ones."""
        self._is_cut = True
        for writer in list(self._lines):
            writer.transport.abort()

    def mend(self) -> None:
        """Let lines through again."""
        self._is_cut = False

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._lines |= {writer, far_writer}
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        self._lines -= {writer, far_writer}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        writer.transport.close()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the system's Chromium without a window."""
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        raise RuntimeError("The journeys need Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def descendants(pid: int) -> Iterator[int]:
    """Name the processes that a process started, directly or not."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in map(int, children):
            yield child
            yield from descendants(child)


def command_line(pid: int) -> list[bytes]:
    """Read with which arguments a process was started."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
