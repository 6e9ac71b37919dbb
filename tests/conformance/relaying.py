"""A relay in a process of its own that stands still: `python -m tests.conformance.relaying MOMENT`.

It says `ready` when it has connected, and `stands` when it holds committed events that it has not published
(`before`), or has published and not deleted (`after`), so that it can be killed right then. With `late`, it
says `stands` and publishes a second later what it holds, so that it can be stopped meanwhile.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import cast

from dana.platform.broker import RabbitBinding, binding_of
from dana.platform.broker.publishing import Outgoing
from dana.platform.errors import Problem
from dana.platform.settings import Settings
from dana.platform.telemetry import configure_logging


async def stand_still(moment: str) -> None:
    """Relay until there is something to relay, then stand still for ever."""
    configure_logging("ERROR")
    binding = cast("RabbitBinding", binding_of(Settings.from_environment(), None))
    publish = binding._publisher.publish
    holding: list[asyncio.Task[None]] = []

    async def stand(batch: Sequence[Outgoing]) -> None:
        if moment == "after":
            await publish(batch)
        say("stands")
        if moment == "late":
            holding.append(asyncio.create_task(publish_late(batch)))
        await asyncio.Event().wait()

    async def publish_late(batch: Sequence[Outgoing]) -> None:
        """Publish whatever has become of the lock, as one would that was stopped while it published."""
        await asyncio.sleep(1)
        while True:
            try:
                await publish(batch)
            except Problem:
                await asyncio.sleep(0.2)
            else:
                break
        say("published")

    binding._publisher.publish = stand  # type: ignore[method-assign]
    await binding.start()
    say("ready")
    await asyncio.Event().wait()


def say(what: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(stand_still(sys.argv[1]))
