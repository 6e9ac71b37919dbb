"""The wiring of realtime: a hub, its socket server, and its two clocks."""

import asyncio

from dana.platform.service import Platform, Service
from dana.services.realtime import jobs
from dana.services.realtime.actions import Hub
from dana.services.realtime.adapters import SocketServer


def build(platform: Platform) -> Service:
    """Wire one real-time node."""
    hub = Hub(platform.shards, platform.fanout, platform.ephemera, platform.keys)
    server = SocketServer(hub, platform.settings.realtime_host, platform.settings.realtime_port)
    clocks: list[asyncio.Task[None]] = []

    async def start() -> None:
        await server.start()
        clocks.append(asyncio.create_task(jobs.beat(hub)))
        clocks.append(asyncio.create_task(jobs.look_for_gaps(hub, platform.fanout)))

    async def stop() -> None:
        for clock in clocks:
            clock.cancel()
        server.stop_listening()
        await hub.close()
        await server.closed()

    return Service("realtime", start=start, stop=stop)
