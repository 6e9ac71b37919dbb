"""A relay in a process of its own that stands still: `python -m tests.conformance.relaying before|after`.

It says `ready` when it has connected, and `stands` when it holds committed events that it has not published
(before), or has published and not deleted (after), so that it can be killed right then.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import cast

from dana.platform.broker import RabbitBinding, binding_of
from dana.platform.broker.publishing import Outgoing
from dana.platform.settings import Settings
from dana.platform.telemetry import configure_logging


async def stand_still(moment: str) -> None:
    """Relay until there is something to relay, then stand still for ever."""
    configure_logging("ERROR")
    binding = cast("RabbitBinding", binding_of(Settings.from_environment(), None))
    publish = binding._publisher.publish

    async def stand(batch: Sequence[Outgoing]) -> None:
        if moment == "after":
            await publish(batch)
        say("stands")
        await asyncio.Event().wait()

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
