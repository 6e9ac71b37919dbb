"""Subscriptions in a cluster: each channel at the server that owns its slot, wherever that is now.

So a message crosses one server, not all of them. Channels follow their slots when these move or another
server takes over; whoever subscribed is told (`on_gap`) once messages flow again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import hiredis
import structlog

from dana.platform.cluster import Cluster
from dana.platform.resp import ANSWER_TIMEOUT_SECONDS, Protocol, Target

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25  # while a channel has no server, another may take over at any moment
REST_SECONDS = 5.0
PAUSE_SECONDS = 0.1  # a cluster that refuses thousands of channels is not asked again without a pause


@dataclass(slots=True)
class _Subscription:
    receive: Callable[[bytes], None]
    on_gap: Callable[[], None]
    asked: Protocol | None = None
    """Where it has been asked for."""
    is_heard: bool = False
    """Whether that server has confirmed."""
    is_confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether any ever has."""


class ShardedSubscriptions:
    """Connections for pushes to all primaries, and which channel is subscribed to at which."""

    def __init__(self, target: Target) -> None:
        self._subscriptions: dict[bytes, _Subscription] = {}
        doubt = self._doubt
        self._cluster = Cluster(target, self._take_push, lambda _: doubt(), doubt, on_refused=self._refused)
        self._is_doubtful = asyncio.Event()
        self._unheard: set[bytes] = set()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether all that is subscribed to can be heard."""
        return not self._unheard

    async def start(self, wait_seconds: float) -> None:
        """Connect and stay connected."""
        await self._cluster.start(wait_seconds)
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Disconnect."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        await self._cluster.stop()

    async def subscribe(
        self, channel: str, receive: Callable[[bytes], None], on_gap: Callable[[], None]
    ) -> bool:
        """Let each message of a channel be received; returns whether that is confirmed already."""
        name = channel.encode()
        subscription = self._subscriptions[name] = _Subscription(receive, on_gap)
        self._unheard.add(name)
        self._ask(name, subscription)
        if subscription.asked is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(subscription.is_confirmed.wait(), ANSWER_TIMEOUT_SECONDS)
        return subscription.is_confirmed.is_set()

    def unsubscribe(self, channel: str) -> None:
        """End a subscription; nothing is received from here on."""
        name = channel.encode()
        subscription = self._subscriptions.pop(name, None)
        self._unheard.discard(name)
        if subscription is not None and subscription.asked is not None:
            subscription.asked.request_push(("SUNSUBSCRIBE", channel))

    def _ask(self, name: bytes, subscription: _Subscription) -> None:
        """Subscribe at the server that owns the channel, unless it has been asked already."""
        owner = self._cluster.connection(name)
        if owner is subscription.asked:
            return
        former, subscription.asked = subscription.asked, owner
        subscription.is_heard = False
        self._unheard.add(name)
        if former is not None:
            former.request_push(("SUNSUBSCRIBE", name))
        if owner is not None:
            owner.subscribe("SSUBSCRIBE", name)

    def _take_push(self, push: list[Any]) -> None:
        kind, name = push[0], push[1]
        subscription = self._subscriptions.get(name)
        if subscription is None:
            return
        if kind == b"smessage":
            subscription.receive(push[2])
        elif kind == b"ssubscribe":
            is_again = subscription.is_confirmed.is_set()
            subscription.is_heard = True
            subscription.is_confirmed.set()
            self._unheard.discard(name)
            if is_again:
                subscription.on_gap()
        elif kind == b"sunsubscribe" and subscription.is_heard:
            self._forget(name, subscription)  # the slot has moved to another server

    def _doubt(self) -> None:
        self._is_doubtful.set()

    def _refused(self, error: hiredis.ReplyError, name: bytes | None) -> None:
        if name is not None and (subscription := self._subscriptions.get(name)) is not None:
            log.debug("valkey_subscription_refused", error=str(error))
            self._forget(name, subscription)

    def _forget(self, name: bytes, subscription: _Subscription) -> None:
        subscription.asked = None
        subscription.is_heard = False
        self._unheard.add(name)
        self._is_doubtful.set()

    async def _keep(self) -> None:
        """Let channels follow their slots."""
        known = -1
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._unheard else REST_SECONDS):
                    await self._is_doubtful.wait()
            if self._is_doubtful.is_set() or known != self._cluster.generation:
                self._is_doubtful.clear()
                known = self._cluster.generation
                names = list(self._subscriptions)
            else:
                names = list(self._unheard)
            for name in names:
                if (subscription := self._subscriptions.get(name)) is not None:
                    self._ask(name, subscription)
            await asyncio.sleep(PAUSE_SECONDS)
