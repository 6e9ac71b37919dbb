"""A worker of the conformance suite in a process of its own: `python -m tests.conformance.worker GROUP…`.

It says `ready` when it consumes, and `begun` whenever a consumer begins, so that it can be killed right then.
"""

import asyncio
import json
import os
import signal
import sys

from dana.platform.bus import Bus, pace
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.telemetry import configure_logging
from dana.platform.valkey import Valkey
from tests.conformance import days
from tests.conformance.bindings import make_binding


async def work(groups: list[str]) -> None:
    """Consume until SIGTERM."""
    for name, value in json.loads(os.environ.get("CONFORMANCE_PACE", "{}")).items():
        setattr(pace, name, value)
    configure_logging("ERROR")  # nobody reads the pipe all the time
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings.from_environment()
    shards, valkey = Shards(settings, "conversations"), Valkey(settings.redis_url)
    await valkey.start()
    binding = make_binding(settings, valkey)
    await binding.start()
    shards.on_commit.append(binding.committed)
    buses = [Bus(group, shards, days.consumers(group, shards, _say), binding) for group in groups]
    for bus in buses:
        await bus.start()
    _say("ready")
    await stop.wait()
    for bus in buses:
        await bus.stop()
    await binding.stop()
    await shards.close()
    await valkey.stop()


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1:]))
