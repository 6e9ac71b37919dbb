"""Signals: a word from one process of a service to its others, over Valkey. It may get lost.

For what stands in the database anyway and would be noticed a little later.
"""

from collections.abc import Callable

from dana.platform.valkey import Valkey


class Signals:
    """One topic, heard by every process that listens, the sender's own included."""

    def __init__(self, valkey: Valkey, topic: str) -> None:
        self._valkey = valkey
        self._channel = f"dana:signal:{topic}"

    async def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hear every signal from here on, while Valkey is there."""
        await self._valkey.subscribe(self._channel, hear, _nothing)

    def send(self, signal: bytes) -> None:
        """Tell everybody; never waits, never fails."""
        self._valkey.send("PUBLISH", self._channel, signal)


def _nothing() -> None:
    """Take it that something may have got lost: that is allowed."""
