"""A Dana of its own for a benchmark: `dana up` on a free port with a temporary data folder."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.client import Client

START_SECONDS = 90
UNLIMITED = {
    "DANA_LIMIT_ADDRESS": "100000",
    "DANA_LIMIT_USER": "100000",
    "DANA_LIMIT_ORGANIZATION": "100000",
    "DANA_LIMITS_FACTOR": "10000",
}


@asynccontextmanager
async def running(environment: Mapping[str, str] | None = None) -> AsyncIterator[tuple[str, Path]]:
    """Start, wait until it answers, yield its address and data folder, and stop it."""
    with tempfile.TemporaryDirectory(prefix="dana-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with (home / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dana", "up", "--port", str(port), "--data", str(home / "data")],
                stdout=log,
                stderr=log,
                env=os.environ | UNLIMITED | dict(environment or {}),
            )
        url = f"http://127.0.0.1:{port}"
        try:
            await _ready(url, process, home / "up.log")
            yield url, home / "data"
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 60)


async def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    client = Client(url)
    for _ in range(START_SECONDS * 4):
        if process.poll() is not None:
            raise SystemExit(log.read_text()[-3000:])
        try:
            await client.call("GET", "/readyz")
        except Exception:  # noqa: BLE001 - not yet up, whatever the reason
            await asyncio.sleep(0.25)
        else:
            return
    raise SystemExit("Dana did not become ready:\n" + log.read_text()[-3000:])
