"""The binding over RabbitMQ: relays bring events to the broker, and its tokens wake the lanes.

While the broker is away, lanes are woken and look by themselves exactly as without one.
"""

import asyncio
from contextlib import suppress

import structlog

from dana.contracts.ids import OrgId
from dana.platform.broker.connection import Connection
from dana.platform.broker.publishing import Publisher
from dana.platform.broker.relay import Relay, forget
from dana.platform.broker.tokens import Tokens
from dana.platform.bus import Binding, Listener, PostgresBinding, pace
from dana.platform.errors import Problem
from dana.platform.jobs import Periodic
from dana.platform.outbox import Outbox
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey

POLL_SECONDS = 2.0  # the net below tokens
UPKEEP_SECONDS = 1.0
FORGET_SECONDS = 30.0

log = structlog.get_logger(__name__)


def binding_of(settings: Settings, valkey: Valkey | None) -> Binding:
    """Return the binding that the settings ask for."""
    if settings.rabbitmq_url:
        return RabbitBinding(settings.rabbitmq_url, Shards(settings, "realtime"), valkey)
    return PostgresBinding(valkey)


def upkeep_of(settings: Settings, shards: Shards) -> list[Periodic]:
    """Return what keeps an installation without a broker from gathering events for one it had before."""
    if settings.rabbitmq_url:
        return []

    async def forget_relay() -> None:
        for shard in await shards.names():
            await forget(shards, shard)

    return [Periodic("forget_relay", FORGET_SECONDS, forget_relay)]


class RabbitBinding:
    """One process's relays and tokens."""

    def __init__(self, url: str, shards: Shards, valkey: Valkey | None = None) -> None:
        self._shards = shards
        self._nearby = PostgresBinding(valkey)
        self._publisher = Publisher(url)
        self._consuming = Connection(url, "consuming")
        self._consuming.on_change.append(lambda _: self._changed.set())
        self._relays: dict[str, tuple[Relay, asyncio.Task[None]]] = {}
        self._tokens: dict[tuple[str, str], Tokens] = {}
        self._fallen_back: set[Listener] = set()
        self._changed = asyncio.Event()
        self._upkeep: asyncio.Task[None] | None = None

    @property
    def poll_seconds(self) -> float:
        """Seconds between two looks: seldom while tokens come."""
        are_flowing = all(tokens.is_flowing for tokens in self._tokens.values())
        return max(POLL_SECONDS, pace.POLL_SECONDS) if are_flowing else pace.POLL_SECONDS

    async def start(self) -> None:
        """Connect, and become a candidate for each shard's relay."""
        await asyncio.gather(self._publisher.start(), self._consuming.start())
        self._upkeep = asyncio.create_task(self._look_after())

    async def stop(self) -> None:
        """Give up relays and tokens; others have the tokens at once, the relays within a second."""
        tasks = [task for _, task in self._relays.values()]
        tasks += [self._upkeep] if self._upkeep else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for tokens in self._tokens.values():
            await tokens.end()
        await self._nearby.stop()
        await asyncio.gather(self._publisher.stop(), self._consuming.stop())
        await self._shards.close()

    async def open(self, listener: Listener) -> None:
        """Wake this lane: like without a broker until its tokens flow."""
        await self._fall_back(listener)
        key = (listener.group, listener.lane)
        tokens = self._tokens.setdefault(key, Tokens(self._consuming, *key))
        tokens.add(listener)
        self._changed.set()

    async def close(self, listener: Listener) -> None:
        """Wake it no more."""
        await self._return_from_fall_back(listener)
        tokens = self._tokens.get((listener.group, listener.lane))
        if tokens is not None:
            tokens.remove(listener)
            if not tokens.listeners:
                del self._tokens[listener.group, listener.lane]
                await tokens.end()

    def committed(self, org_id: OrgId, first_cursor: int, outbox: Outbox) -> None:
        """Wake the shard's relay, here or elsewhere."""
        self._nearby.committed(org_id, first_cursor, outbox)

    async def _look_after(self) -> None:
        """Keep a relay for each shard, and tokens flowing for each lane."""
        while True:
            self._changed.clear()
            try:
                await self._keep_relays()
                await self._keep_tokens()
            except Problem as problem:
                log.warning("shards_unknown", error=str(problem))
            except Exception:  # a bug must not end what everybody is woken by
                log.exception("binding_failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), UPKEEP_SECONDS)

    async def _keep_relays(self) -> None:
        names = await self._shards.names()
        for shard in set(self._relays) - set(names):
            relay, task = self._relays.pop(shard)
            task.cancel()
            await self._nearby.close(relay)
        for shard in names:
            if shard not in self._relays:
                relay = Relay(shard, self._shards, self._publisher)
                await self._nearby.open(relay)
                self._relays[shard] = (relay, asyncio.create_task(relay.run()))

    async def _keep_tokens(self) -> None:
        """Let lanes without tokens be woken as without a broker, before each tries to get some again."""
        dry = [tokens for tokens in self._tokens.values() if not tokens.is_flowing]
        for listener in [listener for tokens in dry for listener in tokens.listeners]:
            await self._fall_back(listener)
        for tokens in dry:
            try:
                await tokens.flow()
            except Problem as problem:
                log.debug("tokens_dried_up", queue=tokens.name, error=str(problem))
                continue
            for listener in tokens.listeners:
                await self._return_from_fall_back(listener)
                listener.wake()  # for what was committed before the first token

    async def _fall_back(self, listener: Listener) -> None:
        if listener not in self._fallen_back:
            self._fallen_back.add(listener)
            await self._nearby.open(listener)
            listener.wake()  # for what the last tokens would have told

    async def _return_from_fall_back(self, listener: Listener) -> None:
        if listener in self._fallen_back:
            self._fallen_back.discard(listener)
            await self._nearby.close(listener)
