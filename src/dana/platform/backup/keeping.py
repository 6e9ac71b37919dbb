"""Keeps receiving the log of all servers, those added later too, until it is told to stop."""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from dana.platform.backup.folder import BackupError, Backups
from dana.platform.backup.receiving import Receiver
from dana.platform.errors import Problem
from dana.platform.local.programs import CannotStartError
from dana.platform.local.receiver import ALIVE, OFF
from dana.platform.servers import server_addresses
from dana.platform.settings import Settings

LOOK_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
MOST_BYTES = 10 * 2**30  # of the log, for all servers; the oldest goes first

_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    Problem,
    BackupError,
    CannotStartError,
)

Say = Callable[[str, str], None]
"""Told the server's name and what has happened."""


async def keep_receiving(
    settings: Settings, backups: Backups, say: Say, servers: Sequence[str] = (), most_bytes: int = MOST_BYTES
) -> None:
    """Receive until cancelled; whatever goes wrong is said, and tried again."""
    backups.prepare()
    addresses: dict[str, str] = {}
    tasks: dict[str, asyncio.Task[None]] = {}

    async def keep(name: str) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            why = await _receive(backups, name, addresses[name], most_bytes)
            if why is not None:
                say(name, f"{why}; trying again in {pause:.0f} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS) if why else FIRST_PAUSE_SECONDS

    try:
        while True:
            (backups.wal / ALIVE).touch(mode=0o600)
            try:
                addresses.update(await server_addresses(settings))
            except _PASSING as problem:
                say("catalog", f"can't be asked for the servers: {problem}")
            for name in addresses:
                if name not in tasks and (not servers or name in servers):
                    tasks[name] = asyncio.create_task(keep(name))
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def _receive(backups: Backups, server: str, dsn: str, most_bytes: int) -> str | None:
    """Receive as long as that goes well; returns why it ended, None while it is switched off."""
    if (backups.wal / OFF).exists():
        return None
    try:
        return await Receiver(backups, server, dsn, most_bytes).receive()
    except _PASSING as problem:
        return str(problem) or type(problem).__name__
