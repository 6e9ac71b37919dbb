"""Workers in processes of their own, to be killed, stopped and replaced."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

from dana.platform.local.programs import Program, spawn
from dana.platform.settings import Settings
from tests.conformance.days import GROUPS

ROOT = Path(__file__).parents[2]
PACE = {"LEASE_SECONDS": 1.5, "POLL_SECONDS": 0.1, "FIRST_PAUSE_SECONDS": 0.01}


class Hand:
    """One worker process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    async def says(self, what: str) -> None:
        """Return when it says so."""
        heard = ""
        async with asyncio.timeout(30):
            while (line := await asyncio.to_thread(self._line)) != f"{what}\n":
                heard += line
                assert line, f"The worker ended:\n{heard}"

    async def kill(self) -> None:
        """Kill it as the kernel does when memory runs out: no goodbye."""
        self.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.process.wait)

    async def killed_at_work(self) -> None:
        """Kill it in the middle of what it does next."""
        await self.says("begun")
        await self.kill()

    async def leave(self) -> None:
        """Let it end properly."""
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self.process.wait) == 0

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode()


class Staff:
    """All workers of one test."""

    def __init__(self, settings: Settings) -> None:
        self._environment = {
            "DANA_DATA": str(settings.data_dir),
            "DANA_DATABASE_URL": settings.database_url,
            "DANA_REDIS_URL": settings.redis_url,
            "DANA_RABBITMQ_URL": settings.rabbitmq_url,
            "DANA_SECRETS": str(settings.data_dir / "secrets"),
            "CONFORMANCE_PACE": json.dumps(PACE),
        }
        self._hands: list[Hand] = []

    async def hire(self, *groups: str) -> Hand:
        """Start a worker; returns when it consumes."""
        return await self._start("worker", *(groups or GROUPS))

    async def hire_clerk(self) -> Hand:
        """Start a worker for long jobs; returns when it consumes."""
        return await self._start("clerk")

    async def hire_timekeeper(self, book: Path, run_seconds: float = 0.15) -> Hand:
        """Start a scheduler whose runs take so long, and are written down; returns when it waits."""
        return await self._start("timekeeper", str(book), str(run_seconds))

    async def hire_relay(self, moment: str) -> Hand:
        """Start a relay that will stand still `before` or `after` it publishes, or publish `late`."""
        return await self._start("relaying", moment)

    async def _start(self, module: str, *args: str) -> Hand:
        command = (sys.executable, "-m", f"tests.conformance.{module}", *args)
        program = Program("worker", command, lambda: True, environment=self._environment, folder=ROOT)
        hand = Hand(spawn(program, subprocess.PIPE))
        self._hands.append(hand)
        await hand.says("ready")
        return hand

    def dismiss(self) -> None:
        """End all that still run."""
        for hand in self._hands:
            hand.process.kill()
            hand.process.wait()
            if hand.process.stdout is not None:
                hand.process.stdout.close()
