"""What does it cost to run each service in a process of its own, and does a restart of all disturb anybody?

    python -m benchmarks.processes

Starts Dana in one process, then split into one for each service; tells how long the services took to start
and how much memory is theirs (proportional share: what processes share counts once). Then restarts all
processes of the split one in turn, while requests go to each service through the gateway, 50 a second.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop

from benchmarks.client import Client, RequestFailedError
from benchmarks.dana import running
from benchmarks.message_path import percentile

PARTS = ("postgres", "valkey", "gateway")
PAUSE_SECONDS = 0.02
SETTLE_SECONDS = 2.0
REFUSED_TO_OTHERS = "/api/v1/platform/shards"  # that it says so means that placement answers
PATHS = (
    "/api/v1/auth/me",
    "/api/v1/conversations",
    "/api/v1/knowledge/documents",
    "/api/v1/assistant",
    REFUSED_TO_OTHERS,
    "/readyz",
)


async def main() -> None:
    """Measure both, and print one line."""
    async with running() as (_, data_dir):
        one = await _cost(data_dir)
    async with running(None, "--split") as (url, data_dir):
        split = await _cost(data_dir)
        restart = await _restart(url, data_dir)
    print(json.dumps({"one_process": one, "split": split, "restart": restart}))


async def _cost(data_dir: Path) -> dict[str, Any]:
    await asyncio.sleep(SETTLE_SECONDS)
    said = (data_dir.parent / "up.log").read_text()
    started = re.search(r"Services\s+([\d.]+) s", said)
    processes = [path for path in (data_dir / "logs").glob("*.pid") if path.stem not in PARTS]
    return {
        "processes": len(processes),
        "start_s": float(started[1]) if started else None,
        "memory_mib": sum(_proportional_kib(int(path.read_text())) for path in processes) // 1024,
    }


def _proportional_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


async def _restart(url: str, data_dir: Path) -> dict[str, Any]:
    client = Client(url)
    who = {"email": f"{uuid4().hex}@bench.example", "password": "correct horse battery", "name": "Ana"}
    session = await client.call("POST", "/api/v1/auth/signup", who | {"organization": "Bench"})
    began = time.perf_counter()
    command = [sys.executable, "-m", "dana", "restart", "--data", str(data_dir)]
    restarting = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    over = asyncio.create_task(restarting.wait())
    latencies, failed = await _ask_until(over, client, session["access_token"])
    if over.result():
        raise SystemExit("The restart failed.")
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "requests": len(latencies),
        "failed": failed,
        "p50_ms": round(percentile(latencies, 0.5), 2),
        "p99_ms": round(percentile(latencies, 0.99), 2),
    }


async def _ask_until(over: asyncio.Task[int], client: Client, token: str) -> tuple[list[float], int]:
    """Ask each service by turns; return how long each answer took in ms, and how many were none."""
    latencies: list[float] = []
    failed = 0

    async def ask(path: str) -> None:
        nonlocal failed
        started = time.perf_counter()
        try:
            await client.call("GET", path, token=token)
        except RequestFailedError as error:
            failed += not (path == REFUSED_TO_OTHERS and ": 403 " in str(error))
        except OSError:
            failed += 1
        latencies.append((time.perf_counter() - started) * 1000)

    asking: set[asyncio.Task[None]] = set()
    for path in itertools.cycle(PATHS):
        if over.done():
            break
        task = asyncio.create_task(ask(path))
        asking.add(task)
        task.add_done_callback(asking.discard)
        await asyncio.sleep(PAUSE_SECONDS)
    await asyncio.gather(*asking)
    return latencies, failed


if __name__ == "__main__":
    uvloop.run(main())
