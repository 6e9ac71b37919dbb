"""Runs a restored cluster by itself: to bring it to the wanted moment, and to end what a copy must not do.

It listens on a socket in a private folder and nowhere else. Logical replication stays off, or subscriptions
of unfinished moves would go on with the live servers.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from dana.platform.backup.folder import BackupError
from dana.platform.backup.segments import parse_lsn
from dana.platform.backup.tools import Tool
from dana.platform.local.account import Account, unprivileged_account
from dana.platform.local.postgres import MAJOR

RECOVERY_SIGNAL = "recovery.signal"
READY_LINE = 7  # of postmaster.pid
POLL_SECONDS = 0.05
PORT = 5432  # names the socket; nothing listens on the network
STOP_SECONDS = 120.0  # the last checkpoint of a large cluster

ENDED_EARLY = "recovery ended before configured recovery target was reached"
_LAST_COMMIT = re.compile(r"last completed transaction was at log time (\S+ \S+)")
_REDO_AT = re.compile(r"current LSN: ([0-9A-F]+/[0-9A-F]+)")

_ALWAYS = {
    "listen_addresses": "",
    "max_logical_replication_workers": "0",
    "hot_standby": "off",  # it need not have as many connections as the source had
    "wal_level": "logical",
    "archive_mode": "off",
    "restore_command": "false",  # all the log there is lies in pg_wal already
    "recovery_target_action": "promote",
    "synchronous_standby_names": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "shared_preload_libraries": "",
    "ssl": "off",
    "autovacuum": "off",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_startup_progress_interval": "500ms",
    "logging_collector": "off",
    "log_destination": "stderr",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where recovery stops."""

    at: datetime | None = None
    """After the last commit of this moment; None: at the end of the log."""
    at_once: bool = False
    """As soon as the copy is consistent."""

    def settings(self) -> dict[str, str]:
        """Return it as PostgreSQL's settings."""
        if self.at_once:
            return {"recovery_target": "immediate"}
        return (
            {"recovery_target_time": f"{self.at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"} if self.at else {}
        )


class Cluster:
    """A cluster's folder, and the server that runs on it for the moment."""

    def __init__(self, folder: Path, binaries: Path, administrator: str, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._binaries = binaries
        self._administrator = administrator
        self._settings = settings
        self._account = unprivileged_account()
        self._sockets = Path(tempfile.mkdtemp(prefix="dana-restore-"))
        self._log = self._folder.parent / "restore.log"
        self.last_commit_at: datetime | None = None

    def dsn(self, database: str) -> str:
        """Return the administrator's address of a database."""
        host = quote(str(self._sockets), safe="")
        return f"postgresql://{quote(self._administrator)}@{host}:{PORT}/{database}"

    @asynccontextmanager
    async def recovered(self, target: Target, reaches: datetime | None) -> AsyncIterator[None]:
        """Bring the cluster to the wanted moment, and run it for the length of the block; raises BackupError.

        When the log ends before it, that is the wanted moment all the same if the log is known to reach it:
        there were no more commits.
        """
        _check_version(self._folder)
        (self._folder / RECOVERY_SIGNAL).touch()
        _give(self._folder / RECOVERY_SIGNAL, self._account)
        tool = self._start(target.settings())
        try:
            if not await self._becomes_ready(tool) and self._ended_before(target, reaches):
                tool = self._start({})
                await self._becomes_ready(tool)
            if not tool.is_running:
                raise BackupError(f"The restored server in {self._folder} doesn't start: {tool.why()}")
            self._read_log()
            yield
        finally:
            await _stop(tool)

    def close(self) -> None:
        """Remove the folder of the socket."""
        shutil.rmtree(self._sockets, ignore_errors=True)

    def replayed_lsn(self) -> int | None:
        """Return how far replaying has come, as the server says it."""
        found = [match[1] for line in self._lines() if (match := _REDO_AT.search(line))]
        return parse_lsn(found[-1]) if found else None

    def _start(self, settings: dict[str, str]) -> Tool:
        access = self._sockets / "access.conf"
        configuration = self._sockets / "postgresql.conf"
        access.write_text("local all all trust\n")  # whoever may enter the folder owns the files anyway
        configuration.write_text("")
        self._sockets.chmod(0o700)
        for path in (self._sockets, access, configuration):
            _give(path, self._account)
        options = _ALWAYS | dict(self._settings) | settings
        options |= {"port": str(PORT), "unix_socket_directories": str(self._sockets), "hba_file": str(access)}
        arguments = ["postgres", "-D", str(self._folder), "-c", f"config_file={configuration}"]
        arguments += [part for name, text in options.items() for part in ("-c", f"{name}={text}")]
        return Tool(
            arguments, self._log, binaries=self._binaries, account=self._account, folder=self._sockets
        )

    async def _becomes_ready(self, tool: Tool) -> bool:
        """Wait as long as it takes: replaying a day of a busy server takes its time. False when it ended."""
        while tool.is_running:
            if _is_ready(self._folder):
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    def _ended_before(self, target: Target, reaches: datetime | None) -> bool:
        """Tell whether it only ended because nothing was committed from the end of the log to the target."""
        if target.at is None or not any(ENDED_EARLY in line for line in self._lines()):
            return False
        if reaches is not None and reaches >= target.at:
            return True
        self._read_log()
        raise BackupError(
            f"The log of {self._folder} ends before that, with a commit at {self.last_commit_at}."
        )

    def _lines(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines() if self._log.exists() else []

    def _read_log(self) -> None:
        found = [match[1] for line in self._lines() if (match := _LAST_COMMIT.search(line))]
        if found:
            self.last_commit_at = datetime.fromisoformat(found[-1])


def give_tree(folder: Path, account: Account | None) -> None:
    """Give a folder and all in it to the account that PostgreSQL runs as."""
    if account:
        for here, _, files in os.walk(folder):
            os.chown(here, account.uid, account.gid)
            for name in files:
                os.chown(Path(here) / name, account.uid, account.gid, follow_symlinks=False)


def _give(path: Path, account: Account | None) -> None:
    if account:
        os.chown(path, account.uid, account.gid)


def _check_version(cluster: Path) -> None:
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise BackupError(
            f"The backup is of PostgreSQL {found}, and this is {MAJOR}; set DANA_POSTGRES_BIN to programs of "
            f"PostgreSQL {found}."
        )


def _is_ready(cluster: Path) -> bool:
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready"


async def _stop(tool: Tool) -> None:
    if tool.is_running:
        tool.process.send_signal(2)  # SIGINT, PostgreSQL's fast shutdown
        for _ in range(int(STOP_SECONDS / POLL_SECONDS)):
            if not tool.is_running:
                break
            await asyncio.sleep(POLL_SECONDS)
    await tool.stop()
