"""What a node does by the clock: heartbeats, and the look for events that the fan-out has lost."""

import asyncio

import structlog

from dana.platform.fanout import Fanout
from dana.services.realtime.actions import Hub

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
LOOK_WITHOUT_FANOUT_SECONDS = 0.2  # then this is how events arrive


async def beat(hub: Hub) -> None:
    """Send heartbeats for ever, each second to another part of the clients."""
    while True:
        await asyncio.sleep(1)
        await hub.beat()


async def look_for_gaps(hub: Hub, fanout: Fanout) -> None:
    """Look for missing events for ever, more often while nothing arrives by itself."""
    while True:
        await asyncio.sleep(LOOK_SECONDS if fanout.is_listening else LOOK_WITHOUT_FANOUT_SECONDS)
        try:
            await hub.look_for_gaps()
        except Exception as error:  # noqa: BLE001 - the database is away; the next look finds it again
            log.warning("look_for_gaps_failed", error=repr(error))
            await asyncio.sleep(LOOK_SECONDS)
