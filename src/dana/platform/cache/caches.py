"""Reading through: local, shared, source. Each key is fetched once at a time, whoever waits for it.

A value is served from this process only while Valkey would have told that it changed. Old age is no change:
past `fresh_seconds` a value is still served, and looked up again behind. What isn't there is remembered too,
for a shorter time. Without Valkey everything is read from the source.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import structlog
from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform import positions
from dana.platform.cache.local import ENTRY_BYTES, Entry, Local
from dana.platform.cache.shared import Shared
from dana.platform.errors import Missing, Unavailable
from dana.platform.network import forbid_network_in_tx
from dana.platform.resp import CONNECT_TIMEOUT_SECONDS
from dana.platform.resp import Protocol as Connection
from dana.platform.valkey import Valkey

MOST_ENTRIES = 20_000
MOST_BYTES = 32 * 1024 * 1024
MOST_VALUE_BYTES = 256 * 1024  # a larger one would push out hundreds of others
FRESH_SECONDS = 30.0
LIFE_SECONDS = 300.0  # for how long a change could stay unseen, if every way of telling it failed
ABSENCE_SECONDS = 10.0
LEASE_BYTES = 12
PREFIX = "dana:cache:"

log = structlog.get_logger(__name__)

READS = Counter("dana_cache_reads_total", "Reads by where they were answered.", ["cache", "level"])
STALE = Counter("dana_cache_invalidations_total", "What made values be dropped.", ["cause"])

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Absent:
    """The source has nothing there, and says so in these words."""

    detail: str


@dataclass(slots=True, eq=False)
class _Flight:
    """One fetch, for all who wait for the same key."""

    task: asyncio.Task[Any] | None = None
    is_stale: bool = False

    async def landed(self) -> Any:
        """Wait for it; who gives up waiting doesn't end it for the others."""
        return await asyncio.shield(self.task) if self.task is not None else None


class Flights:
    """What is being fetched."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, list[_Flight]] = {}

    def newest(self, key: bytes) -> _Flight | None:
        """Return the fetch that whoever asks now may wait for."""
        flights = self._by_key.get(key)
        return flights[-1] if flights else None

    def begin(self, key: bytes, fetch: Callable[[_Flight], Coroutine[Any, Any, Any]]) -> _Flight:
        """Fetch, and let others wait for it until it is done or outdated."""
        flight = _Flight()
        self._by_key.setdefault(key, []).append(flight)
        flight.task = asyncio.create_task(fetch(flight))
        flight.task.add_done_callback(lambda task: self._end(key, flight, task))
        return flight

    def outdate(self, key: bytes) -> None:
        """Let whoever asks from now on begin anew; what is under way isn't kept."""
        for flight in self._by_key.pop(key, ()):
            flight.is_stale = True

    def outdate_all(self) -> None:
        """Do so with every key."""
        for key in list(self._by_key):
            self.outdate(key)

    async def end(self) -> None:
        """Wait for all."""
        tasks = [flight.task for flights in self._by_key.values() for flight in flights if flight.task]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: bytes, flight: _Flight, task: asyncio.Task[Any]) -> None:
        flights = self._by_key.get(key)
        if flights is not None and flight in flights:
            flights.remove(flight)
            if not flights:
                del self._by_key[key]
        if not task.cancelled():
            task.exception()  # whoever waited has it; maybe nobody did


class Caches:
    """All caches of a process: one room, one way to Valkey."""

    def __init__(
        self, valkey: Valkey | None = None, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES
    ) -> None:
        """Without a Valkey, everything is read from its source."""
        self.local = Local(most_entries, most_bytes)
        self.shared = Shared(valkey.target, self.outdate) if valkey is not None else None
        self.flights = Flights()

    async def start(self, wait_seconds: float = CONNECT_TIMEOUT_SECONDS) -> None:
        """Connect; values are kept as soon as Valkey tells of changes."""
        if self.shared is not None:
            await self.shared.start(wait_seconds)

    async def stop(self) -> None:
        """Disconnect."""
        if self.shared is not None:
            await self.shared.stop()
        await self.flights.end()

    def of(self, kind: str, type_: type[T], life_seconds: float = LIFE_SECONDS) -> "Cache[T]":
        """Make the cache of one kind of values."""
        return Cache(self, kind, type_, life_seconds)

    def teller(self, key: bytes) -> Connection | None:
        """Return the connection that would tell of a key's change."""
        return self.shared.teller(key) if self.shared is not None else None

    def outdate(self, key: bytes | None, cause: str = "told") -> None:
        """Drop a value here, or all of them (None), and whatever is being fetched of it."""
        if key is not None:
            STALE.labels(cause).inc()
            self.local.drop(key)
            self.flights.outdate(key)
            return
        STALE.labels("lost").inc()
        self.local.clear()
        self.flights.outdate_all()


class Cache(Generic[T]):
    """Values of one kind, each of one organization."""

    def __init__(self, caches: Caches, kind: str, type_: type[T], life_seconds: float) -> None:
        self._caches = caches
        self._prefix = f"{PREFIX}{kind}:"
        self._life_seconds = life_seconds
        self._encode = msgspec.json.Encoder().encode
        self._decoder = msgspec.json.Decoder(type_)
        shape = msgspec.json.encode(msgspec.json.schema(type_))
        self._shape = hashlib.sha256(shape).hexdigest()[:8].encode()
        self._from_local, self._from_shared, self._from_source = (
            READS.labels(kind, level) for level in ("local", "shared", "source")
        )

    async def get(
        self, org_id: OrgId, name: str, load: Callable[[], Awaitable[T]], *, is_exact: bool = False
    ) -> T:
        """Return a value, from the source only when it is nowhere else; raises what `load` raises.

        `is_exact` leaves this process's memory out: Valkey hears of a change before other processes do.
        """
        forbid_network_in_tx()
        caches, key = self._caches, self._key(org_id, name)
        teller = caches.teller(key)
        if teller is None:
            self._from_source.inc()
            return await load()
        if not is_exact:
            entry = caches.local.get(key)
            if entry is not None and entry.told_by is teller and (now := time.monotonic()) < entry.gone_at:
                self._from_local.inc()
                if now >= entry.fresh_until and caches.flights.newest(key) is None:
                    self._begin(key, load, teller)
                found: T | Absent = entry.found
                return _value(found)
        flight = None if is_exact else caches.flights.newest(key)
        if flight is None:
            flight = self._begin(key, load, teller)
        landed: T | Absent = await flight.landed()
        return _value(landed)

    async def forget(self, org_id: OrgId, name: str) -> None:
        """Say that a value has changed; when this returns, no process reads the former one from Valkey.

        Raises Unavailable when Valkey can't be told.
        """
        self._caches.outdate(self._key(org_id, name), "own")
        if self._caches.shared is not None:
            await self._caches.shared.drop(self._key(org_id, name))
            self._caches.outdate(self._key(org_id, name), "own")  # in a cluster, that may have taken a detour

    def forget_soon(self, org_id: OrgId, name: str) -> bool:
        """Say it without waiting; returns whether the message left. Somebody must say it again if not."""
        self._caches.outdate(self._key(org_id, name), "own")
        return self._caches.shared is not None and self._caches.shared.drop_soon(self._key(org_id, name))

    async def catch_up(self, org_id: OrgId, name: str) -> None:
        """Return when this process has heard of every change that Valkey knows of."""
        if self._caches.shared is not None:
            await self._caches.shared.catch_up(self._key(org_id, name))

    def _key(self, org_id: OrgId, name: str) -> bytes:
        return f"{self._prefix}{org_id.hex}:{name}".encode()

    def _begin(self, key: bytes, load: Callable[[], Awaitable[T]], teller: Connection) -> _Flight:
        return self._caches.flights.begin(key, lambda flight: self._fetch(key, load, teller, flight))

    async def _fetch(
        self, key: bytes, load: Callable[[], Awaitable[T]], teller: Connection, flight: _Flight
    ) -> T | Absent:
        positions.seen.set(None)  # a replica may lag behind the change that made this read necessary
        found, lease = await self._find(key, teller)
        encoded = b""
        is_kept = found is not None
        if found is None:
            self._from_source.inc()
            found = await _loaded(load)
            encoded = self._encoded(found, teller)
            is_kept = bool(lease) and await self._fill(key, lease, encoded, found)
        else:
            self._from_shared.inc()
        if is_kept and not flight.is_stale and self._caches.teller(key) is teller:
            self._keep(key, found, len(encoded), teller)
        return found

    async def _find(self, key: bytes, teller: Connection) -> tuple[T | Absent | None, bytes]:
        """Look into Valkey; returns the value, or the lease to fill it with, or neither."""
        shared = self._caches.shared
        if shared is None:
            return None, b""
        worthy = self._stamp(teller)
        lease = b""
        try:
            stored = await shared.find(key)
            if stored is None or not stored.startswith((worthy, b"L")):
                # Valkey tells nobody of the deletion of what isn't there, nor us that our asking ended it.
                self._caches.local.drop(key)
                lease = os.urandom(LEASE_BYTES)
                stored = await shared.take_lease(key, worthy, lease)
        except Unavailable:
            return None, b""
        if stored is None:
            return None, lease
        return self._decoded(stored, worthy), b""

    async def _fill(self, key: bytes, lease: bytes, encoded: bytes, found: T | Absent) -> bool:
        shared = self._caches.shared
        if shared is None or len(encoded) > MOST_VALUE_BYTES:
            return False
        seconds = ABSENCE_SECONDS if isinstance(found, Absent) else self._life_seconds
        try:
            return await shared.fill(key, lease, encoded, seconds)
        except Unavailable:
            return False

    def _keep(self, key: bytes, found: T | Absent, size: int, teller: Connection) -> None:
        now = time.monotonic()
        is_absent = isinstance(found, Absent)
        fresh_seconds = ABSENCE_SECONDS if is_absent else FRESH_SECONDS
        life_seconds = ABSENCE_SECONDS if is_absent else self._life_seconds
        size = ENTRY_BYTES + len(key) + 2 * (size or len(self._encoded(found, teller)))
        self._caches.local.put(key, Entry(found, size, teller, now + fresh_seconds, now + life_seconds))

    def _stamp(self, teller: Connection) -> bytes:
        shared = self._caches.shared
        return b"V" + (shared.run(teller) if shared is not None else b"") + self._shape

    def _encoded(self, found: T | Absent, teller: Connection) -> bytes:
        if isinstance(found, Absent):
            return self._stamp(teller) + b"-" + found.detail.encode()
        return self._stamp(teller) + b"+" + self._encode(found)

    def _decoded(self, stored: bytes, worthy: bytes) -> T | Absent | None:
        if not stored.startswith(worthy):
            return None
        content = stored[len(worthy) + 1 :]
        if stored[len(worthy) : len(worthy) + 1] == b"-":
            return Absent(content.decode())
        try:
            return self._decoder.decode(content)
        except msgspec.DecodeError:
            log.warning("cached_value_unreadable", prefix=self._prefix)
            return None


async def _loaded(load: Callable[[], Awaitable[T]]) -> T | Absent:
    try:
        return await load()
    except Missing as missing:
        return Absent(missing.detail)


def _value(found: T | Absent) -> T:
    if isinstance(found, Absent):
        raise Missing(found.detail)
    return found
