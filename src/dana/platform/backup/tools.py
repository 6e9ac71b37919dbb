"""PostgreSQL's own programs for backups, run so that they end with us and say why when they fail."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from dana.platform.backup.folder import BackupError
from dana.platform.database import login_of
from dana.platform.errors import Problem
from dana.platform.local.account import Account
from dana.platform.local.postgres import find_binaries
from dana.platform.local.programs import CannotStartError, Program, kill, spawn

POLL_SECONDS = 0.1
TAIL_BYTES = 4096
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something has come."""

    what: str
    done_bytes: int
    total_bytes: int


Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Login:
    """How a program reaches a server; the password isn't on the command line, which everybody can read."""

    address: str
    environment: dict[str, str]


@contextmanager
def failures_told() -> Iterator[None]:
    """Turn what can go wrong with servers and disks into one sentence; raises BackupError."""
    try:
        yield
    except Problem as problem:
        raise BackupError(problem.detail) from problem
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise BackupError(f"It failed: {error or type(error).__name__}") from error


def login(dsn: str) -> Login:
    """Split an administrator's address."""
    parts = urlsplit(dsn)
    user, password = login_of(dsn)
    netloc = f"{user}@{parts.netloc.rpartition('@')[2]}" if user else parts.netloc
    secret = {"PGPASSWORD": password} if password else {}
    return Login(parts._replace(netloc=netloc).geturl(), secret | {"LC_ALL": "C"})


class Tool:
    """One of PostgreSQL's programs, running; what it says goes to a log."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        environment: dict[str, str] | None = None,
        *,
        binaries: Path | None = None,
        account: Account | None = None,
        folder: Path = Path("/"),
    ) -> None:
        self._log = log
        self._name = arguments[0]
        program = (binaries or find_binaries()) / arguments[0]
        if not program.exists():
            raise CannotStartError(f"{program} is missing: backups need PostgreSQL's client programs.")
        command = (str(program), *arguments[1:])
        environment = {"LC_ALL": "C"} | (environment or {})
        self._program = Program(
            self._name, command, lambda: True, environment=environment, folder=folder, account=account
        )
        with log.open("wb") as output:
            log.chmod(0o600)
            self.process: subprocess.Popen[bytes] = spawn(self._program, output)

    @property
    def is_running(self) -> bool:
        """Whether it hasn't ended yet."""
        return self.process.poll() is None

    def said(self) -> list[str]:
        """Return the last lines it said."""
        with self._log.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - TAIL_BYTES, 0))
            return file.read().decode(errors="replace").replace("\r", "\n").strip().splitlines()

    async def finish(self, each_poll: Callable[[list[str]], None] = lambda _: None) -> None:
        """Wait for its end; raises BackupError with its last words when it fails. Killed with the caller."""
        try:
            while self.is_running:
                each_poll(self.said())
                await asyncio.sleep(POLL_SECONDS)
        finally:
            if self.is_running:
                kill(self.process)
                self.process.wait()
        if self.process.returncode:
            raise BackupError(f"{self._name} failed: {self.why()}")
        each_poll(self.said())

    async def stop(self) -> None:
        """Ask it to stop, and kill it when it doesn't."""
        if self.is_running:
            self.process.terminate()
        for _ in range(int(STOP_SECONDS / POLL_SECONDS)):
            if not self.is_running:
                break
            await asyncio.sleep(POLL_SECONDS)
        if self.is_running:
            kill(self.process)
        self.process.wait()

    def why(self) -> str:
        """Return its last words as one line."""
        lines = [line for line in self.said() if line.strip()]
        errors = [line for line in lines if "error:" in line or "FATAL" in line or "detail:" in line]
        return " ".join((errors or lines or ["it said nothing"])[-3:])
