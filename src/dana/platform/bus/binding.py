"""Bindings: how a lane in some process learns that something is due, and the one that needs no broker.

commit ─► this process's lanes, at once
       └► one PUBLISH on Valkey ─► the lanes of other processes
a poll finds what came in no other way
"""

import os
from collections.abc import Callable
from typing import Protocol

from dana.contracts.ids import OrgId
from dana.platform.bus import pace
from dana.platform.outbox import Outbox
from dana.platform.valkey import Valkey

ORIGIN_BYTES = 8  # enough to tell processes apart

Release = Callable[[], None]
"""Tells a broker that what it announced is no longer waited for; never blocks, never raises."""


class Listener(Protocol):
    """A lane of one consuming service on one shard, as a binding sees it."""

    @property
    def shard(self) -> str:
        """Where it claims."""

    @property
    def group(self) -> str:
        """Name the consuming service."""

    @property
    def lane(self) -> str:
        """Name its lane."""

    @property
    def types(self) -> frozenset[str]:
        """Tell which types of events it consumes."""

    @property
    def slots(self) -> int:
        """Tell how many deliveries it works on at once, and so how many tokens it holds at most."""

    def wake(self, release: Release | None = None) -> None:
        """Look at once whether something is due; `release` is called once, when that is over."""


class Binding(Protocol):
    """What tells the lanes of one process that something may be due; all calls come from one event loop."""

    @property
    def poll_seconds(self) -> float:
        """How long a lane that hears nothing waits before it looks by itself."""

    async def start(self) -> None:
        """Connect. A broker that is away must not keep the process from starting."""

    async def stop(self) -> None:
        """Disconnect; called after the last lane was closed."""

    async def open(self, listener: Listener) -> None:
        """Wake this lane from now on; called after it has subscribed on its shard."""

    async def close(self, listener: Listener) -> None:
        """Wake it no more; tokens it holds may still be released."""

    def committed(self, org_id: OrgId, first_cursor: int, outbox: Outbox) -> None:
        """Tell everybody whom it concerns; called after each commit of this process that has events."""


class PostgresBinding:
    """Wakes by a call in this process, by Valkey in others; without Valkey, others poll."""

    def __init__(self, valkey: Valkey | None = None) -> None:
        self._valkey = valkey
        self._origin = os.urandom(ORIGIN_BYTES)
        self._listeners: dict[str, list[Listener]] = {}

    @property
    def poll_seconds(self) -> float:
        """Seconds between two looks."""
        return pace.POLL_SECONDS

    async def start(self) -> None:
        """Do nothing: Valkey keeps itself connected."""

    async def stop(self) -> None:
        """Hear no more from other processes."""
        if self._valkey is not None:
            for shard in self._listeners:
                self._valkey.unsubscribe(_channel(shard))
        self._listeners.clear()

    async def open(self, listener: Listener) -> None:
        """Wake this lane from now on."""
        shard = listener.shard
        is_first = shard not in self._listeners
        self._listeners.setdefault(shard, []).append(listener)
        if is_first and self._valkey is not None:
            await self._valkey.subscribe(
                _channel(shard),
                lambda message: self._hear(shard, message),
                lambda: self._wake(shard, None),
            )

    async def close(self, listener: Listener) -> None:
        """Wake it no more."""
        listeners = self._listeners.get(listener.shard, [])
        if listener in listeners:
            listeners.remove(listener)

    def committed(self, org_id: OrgId, first_cursor: int, outbox: Outbox) -> None:
        """Wake the lanes that consume one of these events, here and elsewhere."""
        types = {event.type for event in outbox.events}
        self._wake(outbox.shard, types)
        if self._valkey is not None:
            self._valkey.send("PUBLISH", _channel(outbox.shard), self._origin + ",".join(types).encode())

    def _hear(self, shard: str, message: bytes) -> None:
        if message[:ORIGIN_BYTES] != self._origin:
            self._wake(shard, set(message[ORIGIN_BYTES:].decode().split(",")))

    def _wake(self, shard: str, types: set[str] | None) -> None:
        for listener in self._listeners.get(shard, ()):
            if types is None or not listener.types.isdisjoint(types):
                listener.wake()


def _channel(shard: str) -> str:
    return f"dana:due:{shard}"
