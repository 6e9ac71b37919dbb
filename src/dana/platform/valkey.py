"""Valkey: commands, pipelined over one connection, and subscriptions over a second one.

Nothing is lost silently: a command whose answer can't come raises Unavailable, and whoever subscribed is
told (`on_gap`) when the connection was away, because messages may have passed meanwhile.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import hiredis

from dana.platform.cluster import servers
from dana.platform.errors import Unavailable
from dana.platform.resp import (
    ANSWER_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    Argument,
    Command,
    Link,
    Protocol,
    Target,
)
from dana.platform.sharded import ShardedSubscriptions

_WITHOUT_KEY = frozenset({"PUBLISH", "PING", "ECHO", "TIME", "SCRIPT", "INFO", "KEYS", "CONFIG", "FLUSHALL"})
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})
_PASSING = ("LOADING", "BUSY", "MASTERDOWN", "READONLY", "OOM", "TRYAGAIN", "CLUSTERDOWN")


class CommandError(RuntimeError):
    """The server refused a command: a bug of the caller."""


class Script:
    """A script that the server runs in one piece; it knows it by its digest after the first time."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class _Subscription:
    receive: Callable[[bytes], None]
    on_gap: Callable[[], None]
    is_confirmed: asyncio.Event = field(default_factory=asyncio.Event)


class Valkey:
    """A client that keeps itself connected. All methods belong to the event loop that started it.

    The address may name a cluster, `redis+cluster://host:port,host:port`: each command goes to the server
    with its (first) key.
    """

    def __init__(self, url: str) -> None:
        self.target = Target.parse(url)
        self.is_cluster = self.target.is_cluster
        """Whether keys lie on several servers, so that only those with the same tag can be used together."""
        self._subscriptions: dict[bytes, _Subscription] = {}
        self._commands = servers(self.target, self._ignore, self._ignore)
        # Any server of a cluster passes on what is published at any other, but for what is sharded.
        self._feeds = Link(self.target, self._commands.addresses, self._take_push, self._subscribe_again)
        self._sharded = ShardedSubscriptions(self.target) if self.is_cluster else None

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent now."""
        return self._commands.connection(None) is not None

    @property
    def is_listening(self) -> bool:
        """Whether messages of subscriptions can arrive now."""
        return self._feeds.protocol is not None and (self._sharded is None or self._sharded.is_listening)

    async def start(self, wait_seconds: float = CONNECT_TIMEOUT_SECONDS) -> bool:
        """Connect and stay connected; returns whether that worked within the time given."""
        feeds = (self._feeds,) if self._sharded is None else (self._feeds, self._sharded)
        await asyncio.gather(
            self._commands.start(wait_seconds), *(feed.start(wait_seconds) for feed in feeds)
        )
        return self.is_connected and self.is_listening

    async def stop(self) -> None:
        """Disconnect; what waits for an answer gets Unavailable."""
        if self._sharded is not None:
            await self._sharded.stop()
        await self._feeds.stop()
        await self._commands.stop()

    async def call(self, *command: Argument) -> Any:
        """Run a command and return its answer (bytes, int, list, dict or None).

        Raises Unavailable when the server is away, silent or overloaded, CommandError when it refuses.
        Commands that block (BLPOP and the like) would hold up everybody: don't.
        """
        answer = await self._commands.ask(command, key_of(command))
        if isinstance(answer, hiredis.ReplyError):
            if is_passing(answer):
                raise Unavailable("Valkey can't answer now.")
            raise CommandError(f"{command[0]!s}: {answer}")
        return answer

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], *, within_seconds: float
    ) -> Any:
        """Run a script and return its answer; raises what `call` does, and Unavailable after this long."""
        rest = (len(keys), *keys, *arguments)
        try:
            async with asyncio.timeout(within_seconds):
                try:
                    return await self.call("EVALSHA", script.digest, *rest)
                except CommandError as error:
                    if "NOSCRIPT" not in str(error):
                        raise
                    return await self.call("EVAL", script.text, *rest)
        except TimeoutError:
            raise Unavailable("Valkey doesn't answer in time.") from None

    def send(self, *command: Argument) -> bool:
        """Send a command without waiting; returns whether it left. For what may be lost, such as PUBLISH."""
        protocol = self._commands.connection(key_of(command))
        if protocol is None or protocol.is_full:
            return False
        protocol.tell(command)
        return True

    async def subscribe(
        self, channel: str, receive: Callable[[bytes], None], on_gap: Callable[[], None]
    ) -> bool:
        """Let each message of a channel be received; a channel has one subscriber in a process.

        Returns true once the server has confirmed, false when it is away: the subscription then takes
        effect as soon as it is back, and `on_gap` is called at that moment.
        """
        subscription = self._subscriptions[channel.encode()] = _Subscription(receive, on_gap)
        if self._feeds.protocol is not None:
            self._feeds.protocol.request_push(("SUBSCRIBE", channel))
            with suppress(TimeoutError):
                await asyncio.wait_for(subscription.is_confirmed.wait(), ANSWER_TIMEOUT_SECONDS)
        return subscription.is_confirmed.is_set()

    def unsubscribe(self, channel: str) -> None:
        """End a subscription; nothing is received from here on."""
        if self._subscriptions.pop(channel.encode(), None) and self._feeds.protocol is not None:
            self._feeds.protocol.request_push(("UNSUBSCRIBE", channel))

    def publish_sharded(self, channel: str, message: bytes) -> bool:
        """Publish to who has `subscribe_sharded`; in a cluster only the channel's server hears of it."""
        return self.send("PUBLISH" if self._sharded is None else "SPUBLISH", channel, message)

    async def subscribe_sharded(
        self, channel: str, receive: Callable[[bytes], None], on_gap: Callable[[], None]
    ) -> bool:
        """Subscribe as `subscribe` does, in a cluster at the server that owns the channel."""
        subscribe = self.subscribe if self._sharded is None else self._sharded.subscribe
        return await subscribe(channel, receive, on_gap)

    def unsubscribe_sharded(self, channel: str) -> None:
        """End such a subscription."""
        (self.unsubscribe if self._sharded is None else self._sharded.unsubscribe)(channel)

    def _take_push(self, push: list[Any]) -> None:
        subscription = self._subscriptions.get(push[1])
        if subscription is None:
            return
        if push[0] == b"message":
            subscription.receive(push[2])
        elif push[0] == b"subscribe":
            if subscription.is_confirmed.is_set():
                subscription.on_gap()  # the connection was away, and only now messages flow again
            subscription.is_confirmed.set()

    def _subscribe_again(self, protocol: Protocol) -> None:
        for channel, subscription in self._subscriptions.items():
            subscription.is_confirmed.set()
            protocol.request_push(("SUBSCRIBE", channel))

    def _ignore(self, _: object) -> None:
        """Nothing comes unasked on the connection for commands."""


def is_passing(error: hiredis.ReplyError) -> bool:
    """Tell a server that can't at the moment from one that refuses."""
    return str(error).startswith(_PASSING)


def key_of(command: Command) -> bytes | None:
    """Return the first key of a command; None for those that any server answers."""
    name = str(command[0]).upper()
    at = 3 if name in _SCRIPTS else 1
    if name in _WITHOUT_KEY or len(command) <= at or (name in _SCRIPTS and command[2] == 0):
        return None
    key = command[at]
    return key if isinstance(key, bytes) else str(key).encode()
