"""Receives the write-ahead log of a server into its stream, as it is written, and keeps it small.

server ─► slot `dana_backup` (keeps what we haven't got) ─► pg_receivewal ─► stream N ─► packed segments
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from dana.platform.backup import streams
from dana.platform.backup.folder import BackupError, Backups, lock
from dana.platform.backup.segments import show_lsn
from dana.platform.backup.streams import Stream
from dana.platform.backup.tools import Tool, login
from dana.platform.local.receiver import OFF
from dana.platform.servers import administer

SLOT = "dana_backup"
STATUS_SECONDS = 1  # how often pg_receivewal says how far it is
SAVE_SECONDS = 2.0
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2
SAMPLES = 64

# What the server says when a stream can't be continued; any other failure is tried again.
_LOST = ("has already been removed", "is not in this server's history", "is ahead of the WAL flush position")

_SLOT = """
select slot.wal_status,
       (select system_identifier::text from pg_control_system()) as system_identifier,
       (select setting::bigint from pg_settings where name = 'wal_segment_size') as segment_bytes
  from (select) one left join pg_replication_slots slot on slot.slot_name = $1"""
_DROP_SLOT = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1"
_ADVANCE = """
select pg_replication_slot_advance(slot_name, $2::text::pg_lsn) from pg_replication_slots
 where slot_name = $1 and restart_lsn < $2::text::pg_lsn"""
_POSITION = """
select clock_timestamp() as at, pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint as flushed,
       (select pg_wal_lsn_diff(r.write_lsn, '0/0')::bigint
          from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid
         where s.slot_name = $1) as written"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server had written at one moment."""

    at: datetime
    lsn: int


async def prepare(backups: Backups, server: str, connection: asyncpg.Connection) -> Stream:
    """Return the stream that goes on; makes the slot, and a new stream when the old one can't go on."""
    row = await connection.fetchrow(_SLOT, SLOT)
    if row is None:
        raise BackupError(f"The server {server} doesn't say who it is.")
    current = streams.newest(backups.wal, server)
    if current and current.is_open and current.state.system_identifier != row["system_identifier"]:
        current.end("another database cluster took the server's place")
    if row["wal_status"] == "lost":
        await connection.execute(_DROP_SLOT, SLOT)
        if current and current.is_open:
            current.end("the server threw away log that had not been received (max_slot_wal_keep_size)")
    if row["wal_status"] in (None, "lost"):
        await _make_slot(connection, goes_on=current is not None and current.is_open)
    if current is None or not current.is_open:
        current = Stream.begin(backups.wal / server, row["system_identifier"], row["segment_bytes"])
    return current


async def catch_up(backups: Backups, server: str, dsn: str, patience_seconds: float = WAIT_SECONDS) -> Stream:
    """Return when everything written up to now is in the stream.

    Receives it itself, or waits for the receiver that runs already. Raises BackupError.
    """
    deadline = time.monotonic() + patience_seconds
    async with administer(dsn) as connection:
        wanted = await _sample(connection)
        while time.monotonic() < deadline:
            with _receiver_lock(backups, server) as is_ours:
                if is_ours:
                    return await _receive_up_to(backups, server, dsn, connection, wanted)
            current = streams.newest(backups.wal, server)
            if current and current.is_open and current.state.covered_lsn >= wanted.lsn:
                return current
            await asyncio.sleep(POLL_SECONDS)
    raise BackupError(
        f"The receiver of the log of {server} doesn't get on; see logs/backup.log in the data folder, "
        f"and receiver.log in the newest folder below {backups.wal / server}."
    )


async def switch_off(backups: Backups, server: str, dsn: str) -> None:
    """Let the server keep nothing for us any more; the stream ends here."""
    (backups.wal / OFF).touch(mode=0o600)
    async with administer(dsn) as connection:
        current = streams.newest(backups.wal, server)
        if current and current.is_open:
            current.end("receiving was switched off")
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                await connection.execute(_DROP_SLOT, SLOT)
            except asyncpg.ObjectInUseError:
                if time.monotonic() > deadline:
                    raise BackupError(
                        f"Something still receives the log of {server}; stop it first."
                    ) from None
                await asyncio.sleep(POLL_SECONDS)
            else:
                return


class Receiver:
    """Receives one server's log until it is told to stop."""

    def __init__(self, backups: Backups, server: str, dsn: str, most_bytes: int) -> None:
        self._backups = backups
        self._server = server
        self._dsn = dsn
        self._most_bytes = most_bytes
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)

    async def receive(self) -> str:
        """Receive until that ends; returns why. Cancel it to stop. Raises BackupError while another does."""
        with _receiver_lock(self._backups, self._server) as is_ours:
            if not is_ours:
                raise BackupError(f"Another process already receives the log of {self._server}.")
            async with administer(self._dsn) as connection:
                return await self._follow(connection)

    async def _follow(self, connection: asyncpg.Connection) -> str:
        stream = await prepare(self._backups, self._server, connection)
        if is_too_much(self._backups, self._server, self._most_bytes):
            return "the folder is full to its limit; take a backup, so that older log can go"
        tool = _receivewal(stream, self._dsn)
        saved_at = time.monotonic()
        try:
            while tool.is_running and not (self._backups.wal / OFF).exists():
                await self._look(connection, stream)
                if time.monotonic() - saved_at > SAVE_SECONDS:
                    saved_at = time.monotonic()
                    stream.save()
                    await asyncio.to_thread(streams.pack, stream)
                    if is_too_much(self._backups, self._server, self._most_bytes):
                        return "the folder is full to its limit; take a backup, so that older log can go"
                await asyncio.sleep(1)
        finally:
            await tool.stop()
            if (self._backups.wal / OFF).exists():
                stream = Stream(stream.folder)  # who switched it off has ended it
            stream.save()
        _note_loss(stream, tool)
        return tool.why()

    async def _look(self, connection: asyncpg.Connection, stream: Stream) -> None:
        """Note up to which moment everything has been received."""
        row = await connection.fetchrow(_POSITION, SLOT)
        if row is None or row["written"] is None:
            return
        self._samples.append(Sample(row["at"], row["flushed"]))
        while self._samples and self._samples[0].lsn <= row["written"]:
            sample = self._samples.popleft()
            stream.cover(sample.at, sample.lsn)


def is_too_much(backups: Backups, server: str, most_bytes: int) -> bool:
    """Tell whether the log takes more room than it may, after throwing away what older backups would need.

    What the newest backup needs is never thrown away.
    """
    servers = [folder.name for folder in backups.wal.iterdir() if folder.is_dir()]
    every = [stream for name in servers for stream in streams.streams(backups.wal, name)]
    over = sum(stream.size_bytes for stream in every) - most_bytes
    current = streams.newest(backups.wal, server)
    for manifest in backups.sound() if over > 0 else ():
        part = manifest.servers.get(server)
        if current and part and part.stream == current.name and over > 0:
            over -= current.prune(part.stop_lsn // part.segment_bytes)
    return over > 0


async def _make_slot(connection: asyncpg.Connection, *, goes_on: bool) -> None:
    """Make the slot; it keeps the log from the last checkpoint on.

    A new stream begins with a fresh one, because the last may be far back. One that goes on with a new
    primary doesn't: a checkpoint throws away the log it still needs.
    """
    if not goes_on:
        with suppress(asyncpg.InsufficientPrivilegeError):
            await connection.execute("checkpoint")
    await connection.execute("select pg_create_physical_replication_slot($1, true)", SLOT)


@contextmanager
def _receiver_lock(backups: Backups, server: str) -> Iterator[bool]:
    (backups.wal / server).mkdir(mode=0o700, exist_ok=True)
    with lock(backups.wal / server / "receiver.lock") as is_ours:
        yield is_ours


def _receivewal(stream: Stream, dsn: str, *more: str) -> Tool:
    known = login(dsn)
    folder = str(stream.folder)
    arguments = ["pg_receivewal", "-d", known.address, "-D", folder, "-S", SLOT, "--no-loop", "--no-password"]
    arguments += ["-s", str(STATUS_SECONDS), *more]
    return Tool(arguments, stream.folder / "receiver.log", known.environment)


async def _receive_up_to(
    backups: Backups, server: str, dsn: str, connection: asyncpg.Connection, wanted: Sample
) -> Stream:
    stream = await prepare(backups, server, connection)
    if not await _drain(stream, dsn, wanted):
        stream = await prepare(backups, server, connection)
        if not await _drain(stream, dsn, wanted):
            raise BackupError(f"The log of {server} can't be received; see {stream.folder}/receiver.log.")
    await asyncio.to_thread(streams.pack, stream)
    # It is all here, but pg_receivewal left without saying so, and the server would keep it.
    await connection.execute(_ADVANCE, SLOT, show_lsn(wanted.lsn))
    return stream


async def _drain(stream: Stream, dsn: str, wanted: Sample) -> bool:
    """Receive up to a position; False, and the stream ended, when the server can't give that any more."""
    tool = _receivewal(stream, dsn, "--endpos", show_lsn(wanted.lsn - 1))
    try:
        await tool.finish()
    except BackupError:
        if _note_loss(stream, tool):
            return False
        raise
    stream.cover(wanted.at, wanted.lsn)
    stream.save()
    return True


async def _sample(connection: asyncpg.Connection) -> Sample:
    row = await connection.fetchrow(_POSITION, SLOT)
    if row is None:
        raise BackupError("The server doesn't say how far its log is.")
    return Sample(row["at"], row["flushed"])


def _note_loss(stream: Stream, tool: Tool) -> bool:
    if not any(words in line for line in tool.said() for words in _LOST):
        return False
    if stream.is_open and (stream.whole() or stream.begun()):
        stream.end(f"the server could not continue it: {tool.why()}")
    return True
