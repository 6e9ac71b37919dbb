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

from dana.platform.local.rabbitmq import start_rabbitmq

START_SECONDS = 90
READY = "Dana is ready"
UNLIMITED = {
    "DANA_LIMIT_ADDRESS": "100000",
    "DANA_LIMIT_USER": "100000",
    "DANA_LIMIT_ORGANIZATION": "100000",
    "DANA_LIMITS_FACTOR": "10000",
}


@asynccontextmanager
async def running(
    environment: Mapping[str, str] | None = None, *options: str
) -> AsyncIterator[tuple[str, Path]]:
    """Start, wait until it answers, yield its address and data folder, and stop it."""
    with tempfile.TemporaryDirectory(prefix="dana-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with (home / "up.log").open("wb") as log:
            command = [sys.executable, "-m", "dana", "up", "--port", str(port), "--data", str(home / "data")]
            process = subprocess.Popen(
                [*command, *options],
                stdout=log,
                stderr=log,
                env=os.environ | UNLIMITED | dict(environment or {}),
            )
        url = f"http://127.0.0.1:{port}"
        try:
            await _ready(process, home / "up.log")
            yield url, home / "data"
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 60)


@asynccontextmanager
async def running_split(
    environment: Mapping[str, str] | None = None, *options: str
) -> AsyncIterator[tuple[str, Path]]:
    """Start each service in a process of its own, with a RabbitMQ between them."""
    with tempfile.TemporaryDirectory(prefix="dana-bench-rabbitmq-") as folder:
        broker = start_rabbitmq(Path(folder))
        try:
            through = {"DANA_RABBITMQ_URL": broker.url} | dict(environment or {})
            async with running(through, "--split", *options) as (url, data_dir):
                yield url, data_dir
        finally:
            broker.stop()


async def _ready(process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(START_SECONDS * 4):
        if process.poll() is not None:
            raise SystemExit(log.read_text()[-3000:])
        if READY in log.read_text():
            return
        await asyncio.sleep(0.25)
    raise SystemExit("Dana did not become ready:\n" + log.read_text()[-3000:])
