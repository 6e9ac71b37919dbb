"""The cache inside a process: bounded by entries and bytes; what wasn't read for the longest goes first."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter, Gauge

from dana.platform.resp import Protocol as Connection

ENTRY_BYTES = 400  # what Python needs around a small value, about

ENTRIES = Gauge("dana_cache_local_entries", "Values in the caches of this process.")
BYTES = Gauge("dana_cache_local_bytes", "About how much room they take.")
EVICTED = Counter("dana_cache_evicted_total", "Values that had to make room for others.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value, as long as the connection that would tell of its change is the same."""

    found: Any
    bytes: int
    told_by: Connection
    fresh_until: float
    gone_at: float


class Local:
    """Values by key."""

    def __init__(self, most_entries: int, most_bytes: int) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """About how many bytes all values take."""
        return self._bytes

    def get(self, key: bytes) -> Entry | None:
        """Return a value, which thereby is the last to go."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Entry) -> None:
        """Keep a value, and let others go until it fits; one that never fits isn't kept."""
        self.drop(key)
        if entry.bytes > self._most_bytes:
            return
        self._entries[key] = entry
        self._bytes += entry.bytes
        while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.bytes
            EVICTED.inc()
        self._show()

    def drop(self, key: bytes) -> None:
        """Forget a value."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.bytes
            self._show()

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._bytes = 0
        self._show()

    def _show(self) -> None:
        ENTRIES.set(len(self._entries))
        BYTES.set(self._bytes)
