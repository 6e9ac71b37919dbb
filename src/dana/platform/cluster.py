"""The servers behind an address: a single one, or a cluster in which each key lies on one of several.

A cluster tells which slots of keys lie where; a key that has moved is answered by where to, and is asked for
again there. The map is read again whenever something contradicts it, and while a server is away.
"""

import asyncio
import binascii
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import hiredis
import structlog

from dana.platform.errors import Unavailable
from dana.platform.resp import (
    ANSWER_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    Address,
    Command,
    Link,
    Push,
    Refusal,
    Target,
)
from dana.platform.resp import Protocol as Connection

SLOTS = 16384
MOST_REDIRECTS = 5
MAP_AGES_SECONDS = 10.0  # a cluster that grew is noticed after this long, or when a key has moved
MAP_PAUSE_SECONDS = 0.05  # however much contradicts the map
MAP_RETRY_SECONDS = 0.25  # while a server is away, another may take over its slots at any moment

log = structlog.get_logger(__name__)


class Servers(Protocol):
    """Where commands go."""

    is_cluster: bool
    addresses: list[Address]
    """All that is known of where servers are; grows and shrinks with a cluster."""

    async def start(self, wait_seconds: float) -> None:
        """Connect and stay connected; returns after this long in any case."""

    async def stop(self) -> None:
        """Disconnect."""

    def connection(self, key: bytes | None) -> Connection | None:
        """Return the connection to the server that has a key (any, without a key), if it is up."""

    async def ask(self, command: Command, key: bytes | None) -> Any:
        """Return the answer, an error answer as a value; raises Unavailable."""


def servers(
    target: Target,
    on_push: Push,
    on_connected: Callable[[Connection], None],
    on_lost: Callable[[], None] | None = None,
) -> Servers:
    """Make the connections that an address asks for."""
    kind = Cluster if target.is_cluster else Single
    return kind(target, on_push, on_connected, on_lost)


class Single:
    """One server."""

    is_cluster = False

    def __init__(
        self,
        target: Target,
        on_push: Push,
        on_connected: Callable[[Connection], None],
        on_lost: Callable[[], None] | None,
    ) -> None:
        self.addresses = list(target.addresses)
        self._link = Link(target, self.addresses, on_push, on_connected, on_lost)

    async def start(self, wait_seconds: float) -> None:
        """Connect and stay connected."""
        await self._link.start(wait_seconds)

    async def stop(self) -> None:
        """Disconnect."""
        await self._link.stop()

    def connection(self, key: bytes | None) -> Connection | None:
        """Return the connection, if it is up."""
        return self._link.protocol

    async def ask(self, command: Command, key: bytes | None) -> Any:
        """Return the answer."""
        connection = self._link.protocol
        if connection is None or connection.is_full:
            raise Unavailable("Valkey can't be reached.")
        return await connection.ask(command)


class Cluster:
    """The primaries of a cluster, a connection each, and which of them has which slots."""

    is_cluster = True

    def __init__(
        self,
        target: Target,
        on_push: Push,
        on_connected: Callable[[Connection], None],
        on_lost: Callable[[], None] | None,
        *,
        on_refused: Refusal | None = None,
    ) -> None:
        self.generation = 0
        """Grows whenever slots are found elsewhere than before."""
        self._target = target
        self._refusal = on_refused
        self._on_push = on_push
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._links: dict[Address, Link] = {}
        self._owners: list[Address | None] = [None] * SLOTS
        self._is_doubtful = asyncio.Event()
        self._is_known = asyncio.Event()
        self._learner: asyncio.Task[None] | None = None
        # Any server knows the map, so this connection leads to any that answers.
        self.addresses = list(target.addresses)
        self._door = Link(target, self.addresses, lambda _: None, lambda _: self._is_doubtful.set())

    async def start(self, wait_seconds: float) -> None:
        """Read the map, connect to all primaries, and follow what changes."""
        if self._learner is None:
            self._learner = asyncio.create_task(self._stay_informed())
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._door.start(wait_seconds)
                await self._is_known.wait()
                await asyncio.gather(*(link.start(wait_seconds) for link in list(self._links.values())))

    async def stop(self) -> None:
        """Disconnect from all."""
        if self._learner is not None:
            self._learner.cancel()
            await asyncio.gather(self._learner, return_exceptions=True)
            self._learner = None
        await asyncio.gather(self._door.stop(), *(link.stop() for link in self._links.values()))
        self._links.clear()

    def connection(self, key: bytes | None) -> Connection | None:
        """Return the connection to the server that has a key; without one, to any that is up."""
        if key is None:
            return next((link.protocol for link in self._links.values() if link.protocol), None)
        owner = self._owners[slot_of(key)]
        link = self._links.get(owner) if owner is not None else None
        return link.protocol if link is not None else None

    async def ask(self, command: Command, key: bytes | None) -> Any:
        """Return the answer of the server that has the key, wherever that has moved to."""
        connection = self.connection(key)
        for _ in range(MOST_REDIRECTS):
            if connection is None or connection.is_full:
                self._is_doubtful.set()
                raise Unavailable("The part of Valkey's cluster with this key can't be reached.")
            answer = await connection.ask(command)
            if not isinstance(answer, hiredis.ReplyError) or not str(answer).startswith(("MOVED ", "ASK ")):
                return answer
            connection = await self._redirected(str(answer), connection)
        raise Unavailable("Valkey's cluster keeps sending this key elsewhere.")

    async def _redirected(self, answer: str, teller: Connection) -> Connection | None:
        kind, slot, place = answer.split(" ")[:3]
        address = _address(place, teller.peer)
        link = self._link(address)
        if link.protocol is None:
            await link.start(CONNECT_TIMEOUT_SECONDS)
        if kind == "MOVED":
            self._owners[int(slot)] = address
            self._is_doubtful.set()
        elif link.protocol is not None:
            link.protocol.tell(("ASKING",))
        return link.protocol

    def _link(self, address: Address) -> Link:
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = Link(
                self._target,
                (address,),
                self._on_push,
                self._on_connected,
                self._lost,
                on_refused=self._refused,
            )
        return link

    def _lost(self) -> None:
        self._is_doubtful.set()
        if self._on_lost is not None:
            self._on_lost()

    def _refused(self, error: hiredis.ReplyError, channel: bytes | None) -> None:
        self._is_doubtful.set()  # what nobody waited for has gone to the wrong server, or to one that can't
        if self._refusal is not None:
            self._refusal(error, channel)

    async def _stay_informed(self) -> None:
        while True:
            self._is_doubtful.clear()
            await self._learn()
            is_whole = all(link.protocol is not None for link in self._links.values()) and self._links
            with suppress(TimeoutError):
                async with asyncio.timeout(MAP_AGES_SECONDS if is_whole else MAP_RETRY_SECONDS):
                    await self._is_doubtful.wait()
            await asyncio.sleep(MAP_PAUSE_SECONDS)

    async def _learn(self) -> None:
        """Read the map from whoever answers; without an answer, it stays as it is."""
        teller = self._door.protocol or self.connection(None)
        if teller is None:
            return
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                ranges = await teller.ask(("CLUSTER", "SLOTS"))
        except (Unavailable, TimeoutError):
            return
        if isinstance(ranges, hiredis.ReplyError):
            log.warning("valkey_map_unreadable", error=str(ranges))
            return
        await self._apply(ranges, teller.peer)

    async def _apply(self, ranges: list[Any], told_by: Address) -> None:
        owners: list[Address | None] = [None] * SLOTS
        replicas: set[Address] = set()
        for first, last, *holders in ranges:
            found = [Address(holder[0].decode() or told_by.host, holder[1]) for holder in holders]
            owners[first : last + 1] = [found[0]] * (last + 1 - first)
            replicas |= set(found[1:])
        primaries = {owner for owner in owners if owner is not None}
        if not primaries:
            return
        if self._owners != owners:
            self._owners = owners
            self.generation += 1
        self.addresses[:] = dict.fromkeys([*self._target.addresses, *primaries, *replicas])
        for address in primaries - self._links.keys():
            self._link(address)
        await asyncio.gather(*(self._links[address].start(0) for address in primaries))
        await asyncio.gather(*(self._links.pop(gone).stop() for gone in self._links.keys() - primaries))
        self._is_known.set()


def slot_of(key: bytes) -> int:
    """Return the slot of a key: of what stands in its first braces, if there is any."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    if start >= 0 and end > start + 1:
        key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


def _address(text: str, teller: Address) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host or teller.host, int(port))
