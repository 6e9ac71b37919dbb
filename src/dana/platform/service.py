"""What a service is made of, and what the platform gives it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from litestar import Router

from dana.platform.bus import Binding, Bus, Consumer, PostgresBinding, Worker
from dana.platform.cache import Caches
from dana.platform.ephemera import Ephemera
from dana.platform.fanout import Fanout
from dana.platform.identity import Keys
from dana.platform.jobs import Recurring, Scheduler
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey


@dataclass(frozen=True, slots=True)
class Platform:
    """The parts a service may use; `shards` connects with this service's own role."""

    settings: Settings
    shards: Shards
    keys: Keys
    valkey: Valkey
    fanout: Fanout
    ephemera: Ephemera
    binding: Binding = field(default_factory=PostgresBinding)
    caches: Caches = field(default_factory=Caches)


@dataclass(frozen=True, slots=True)
class Service:
    """One service: what comes in by HTTP, by event and by time, and what must run beside it."""

    name: str
    routers: list[Router] = field(default_factory=list)
    consumers: list[Consumer | Worker] = field(default_factory=list)
    jobs: Sequence[Recurring] = ()
    start: Callable[[], Awaitable[None]] | None = None
    drain: Callable[[], Awaitable[None]] | None = None
    """Asks those to leave who would stay for ever; while it lasts, everything else goes on."""
    stop: Callable[[], Awaitable[None]] | None = None


class Running:
    """A service at work: its consumers, its jobs, and what it starts itself."""

    def __init__(self, service: Service, platform: Platform) -> None:
        self._service = service
        self._bus = Bus(service.name, platform.shards, service.consumers, platform.binding)
        self._scheduler = Scheduler(service.name, platform.shards, service.jobs)
        self._shards = platform.shards

    async def start(self) -> None:
        """Start in order: what the service needs, its consumers, its jobs."""
        if self._service.start:
            await self._service.start()
        await self._bus.start()
        await self._scheduler.start()

    async def drain(self) -> None:
        """Let those leave who are connected for long."""
        if self._service.drain:
            await self._service.drain()

    async def stop(self) -> None:
        """Stop in reverse order, letting running work end."""
        await self._scheduler.stop()
        await self._bus.stop()
        if self._service.stop:
            await self._service.stop()
        await self._shards.close()
