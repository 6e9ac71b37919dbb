"""The cache in Valkey, read over a connection on which Valkey tells what has changed since.

A key holds a value, or a lease: who wants to fill it takes the lease before reading the source, and may fill
only while it is still there. A change deletes the key, and the lease with it; so what was read before a
change can't be written after it. Values carry the run of the server that took them: what a restarted server
brings along may have changed while it was away, and counts as absent.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import structlog
from prometheus_client import Counter

from dana.platform.cluster import servers
from dana.platform.errors import Unavailable
from dana.platform.resp import Argument, Target
from dana.platform.resp import Protocol as Connection
from dana.platform.valkey import CommandError, Script, is_passing

ANSWER_SECONDS = 1.0  # a server that is slower than this tells of changes as late: its word is not taken
LEASE_SECONDS = 5.0  # longer than reading the source takes; whoever died with a lease blocks it for this long
MOST_OWED = 10_000  # whoever writes on each commit says it once more, later and surely
RUN_CHARACTERS = 12
LEASE = b"L"

UNSENT = Counter("dana_cache_unsent_total", "Changes that Valkey couldn't be told of at once.")

log = structlog.get_logger(__name__)

# KEYS: the key. ARGV: the beginning of values worth having, the lease, its life in milliseconds.
# Nothing is returned to the new holder. The second GET has the key tracked, since one's own writing ends
# that: whoever holds a lease must hear of a change, or others would go on waiting for what it read before.
_TAKE_LEASE = Script("""
local found = redis.call('GET', KEYS[1])
if found and (string.sub(found, 1, #ARGV[1]) == ARGV[1] or string.sub(found, 1, 1) == 'L') then
  return found
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('GET', KEYS[1])
return false
""")

# KEYS: the key. ARGV: the lease, the value, its life in milliseconds.
_FILL = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('GET', KEYS[1])
return 1
""")


class Shared:
    """Values in Valkey; `on_stale` hears of each key that has changed, or of None when any may have."""

    def __init__(self, target: Target, on_stale: Callable[[bytes | None], None]) -> None:
        self._on_stale = on_stale
        self._runs: dict[Connection, bytes] = {}
        self._servers = servers(target, self._take_push, self._greet, self._lost)
        self._greetings: set[asyncio.Task[None]] = set()
        self._owed: set[bytes] = set()

    async def start(self, wait_seconds: float) -> None:
        """Connect and stay connected."""
        await self._servers.start(wait_seconds)
        if self._greetings:
            await asyncio.wait(self._greetings, timeout=wait_seconds)

    async def stop(self) -> None:
        """Disconnect."""
        await self._servers.stop()
        for greeting in list(self._greetings):
            greeting.cancel()

    def teller(self, key: bytes) -> Connection | None:
        """Return the connection that tells of a key's changes; without one nothing may be kept."""
        connection = self._servers.connection(key)
        return connection if connection in self._runs else None

    def run(self, teller: Connection) -> bytes:
        """Name the server behind a connection, since its last start."""
        return self._runs.get(teller, b"")

    async def find(self, key: bytes) -> bytes | None:
        """Return what stands there: a value, somebody's lease, or nothing; from now on its change is told."""
        found: bytes | None = await self._ask(key, "GET", key)
        return found

    async def take_lease(self, key: bytes, worthy: bytes, lease: bytes) -> bytes | None:
        """Take the lease, unless there is a value or another's lease, which is returned instead."""
        found: bytes | None = await self._evaluate(
            _TAKE_LEASE, key, (worthy, LEASE + lease, round(LEASE_SECONDS * 1000))
        )
        return found

    async def fill(self, key: bytes, lease: bytes, value: bytes, seconds: float) -> bool:
        """Put a value in, if the lease is still there; from then on its change is told."""
        return bool(await self._evaluate(_FILL, key, (LEASE + lease, value, round(seconds * 1000))))

    async def drop(self, key: bytes) -> None:
        """Take away what stands there, and every lease; raises Unavailable."""
        await self._ask(key, "DEL", key)

    def drop_soon(self, key: bytes) -> bool:
        """Take it away without waiting; returns whether the command left.

        What wasn't confirmed is said again as soon as there is a connection.
        """
        connection = self._servers.connection(key)
        if connection is None or connection.is_full:
            self._owe(key)
            return False
        connection.ask(("DEL", key)).add_done_callback(lambda answer: self._confirm(key, answer))
        return True

    async def catch_up(self, key: bytes) -> None:
        """Return when all has been told that changed before this call."""
        await self._ask(key, "PING")

    async def _evaluate(self, script: Script, key: bytes, arguments: Sequence[Argument]) -> Any:
        try:
            return await self._ask(key, "EVALSHA", script.digest, 1, key, *arguments)
        except CommandError as error:
            if "NOSCRIPT" not in str(error):
                raise
            return await self._ask(key, "EVAL", script.text, 1, key, *arguments)

    async def _ask(self, key: bytes, *command: Argument) -> Any:
        connection = self._servers.connection(key)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._servers.ask(command, key)
        except TimeoutError:
            if connection is not None:
                connection.abort()
            raise Unavailable("Valkey doesn't answer in time.") from None
        if isinstance(answer, hiredis.ReplyError):
            if is_passing(answer):
                raise Unavailable("Valkey can't answer now.")
            raise CommandError(f"{command[0]!s}: {answer}")
        return answer

    def _confirm(self, key: bytes, answer: asyncio.Future[Any]) -> None:
        is_done = not answer.cancelled() and answer.exception() is None and isinstance(answer.result(), int)
        if not is_done:
            self._owe(key)

    def _owe(self, key: bytes) -> None:
        UNSENT.inc()
        if len(self._owed) < MOST_OWED:
            self._owed.add(key)

    def _greet(self, connection: Connection) -> None:
        """Ask to be told of changes, before anything is read over this connection; say what is owed."""
        for key in [key for key in self._owed if self._servers.connection(key) is connection]:
            self._owed.discard(key)
            self.drop_soon(key)
        answers = connection.ask(("INFO", "server")), connection.ask(("CLIENT", "TRACKING", "ON", "NOLOOP"))
        greeting = asyncio.create_task(self._greeted(connection, *answers))
        self._greetings.add(greeting)
        greeting.add_done_callback(self._greetings.discard)

    async def _greeted(
        self, connection: Connection, described: asyncio.Future[Any], tracked: asyncio.Future[Any]
    ) -> None:
        try:
            description, is_tracked = await asyncio.gather(described, tracked)
        except Unavailable:
            return
        run = _run_of(description)
        if isinstance(is_tracked, hiredis.ReplyError) or run is None:
            log.warning("cache_off", reason=str(is_tracked), run=run)
            return
        if not connection.is_lost.is_set():
            self._runs[connection] = run

    def _lost(self) -> None:
        for connection in [each for each in self._runs if each.is_lost.is_set()]:
            del self._runs[connection]
        self._on_stale(None)

    def _take_push(self, push: list[Any]) -> None:
        if push[0] != b"invalidate":
            return
        if push[1] is None:  # everything was deleted
            self._on_stale(None)
            return
        for key in push[1]:
            self._on_stale(key)


def _run_of(description: Any) -> bytes | None:
    """Find which run of which server this is; it changes with each start, and with each fail-over."""
    if isinstance(description, hiredis.ReplyError):
        return None
    for line in bytes(description).splitlines():
        name, _, value = line.partition(b":")
        if name == b"run_id":
            return value.strip()[:RUN_CHARACTERS]
    return None
