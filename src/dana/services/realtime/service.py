"""The wiring of realtime: a hub, its socket server, and its two clocks."""

import asyncio

from dana.platform.service import Platform, Service
from dana.services.realtime import jobs
from dana.services.realtime.actions import Hub, Presence
from dana.services.realtime.adapters import TRANSPORTS
from dana.services.realtime.api import router


def build(platform: Platform) -> Service:
    """Wire one real-time node."""
    presence = Presence(platform.valkey, platform.fanout)
    hub = Hub(platform.shards, platform.fanout, platform.ephemera, platform.keys, presence)
    settings = platform.settings
    listen = TRANSPORTS[settings.realtime_transport]
    server = listen(hub, settings.realtime_host, settings.realtime_port)
    clocks: list[asyncio.Task[None]] = []

    async def start() -> None:
        await presence.start()
        await server.start()
        clocks.append(asyncio.create_task(jobs.beat(hub)))
        clocks.append(asyncio.create_task(jobs.look_for_gaps(hub, platform.fanout)))

    async def drain() -> None:
        server.stop_listening()
        await hub.drain()  # the clocks go on meanwhile: who waits for a goodbye is still served

    async def stop() -> None:
        await drain()
        for clock in clocks:
            clock.cancel()
        await hub.close()
        await presence.stop()
        await server.closed()

    routers = [router(hub, platform.keys)]
    return Service("realtime", routers=routers, start=start, drain=drain, stop=stop)
