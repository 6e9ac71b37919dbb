"""The composition: which services a process runs, what each asks of the others, and how they run together.

settings, names ─► Valkey, fan-out, keys ─► one Platform per service (its own database role)
                ─► services ─► one HTTP application, their consumers, jobs and sockets
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import cast

import msgspec

from dana.contracts.queries import Knowledge
from dana.platform.backup.watching import watch as watch_backups
from dana.platform.broker import binding_of, upkeep_of
from dana.platform.bus import Binding, PostgresBinding
from dana.platform.cache import Caches
from dana.platform.ephemera import Ephemera
from dana.platform.errors import Problem
from dana.platform.fanout import Fanout
from dana.platform.gateway.model import Upstream
from dana.platform.http import make_app
from dana.platform.http.app import describe
from dana.platform.http.asgi import Application
from dana.platform.http.jobs import router as jobs_router
from dana.platform.http.limited import Counting
from dana.platform.http.serving import serve_http
from dana.platform.http.static import Static
from dana.platform.http.web import description_router
from dana.platform.identity import Keys
from dana.platform.jobs import Scheduler
from dana.platform.limits import Limits
from dana.platform.maintenance import maintenance
from dana.platform.pools import connection_of
from dana.platform.questions.asking import Asking, RemoteKnowledge
from dana.platform.questions.directory import Directory
from dana.platform.questions.tokens import ServiceTokens
from dana.platform.replicas import Replicas
from dana.platform.service import Platform, Running, Service
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey

ALL = tuple(Upstream)
UPKEEP_BESIDE = Upstream.PLACEMENT
"""The shards' upkeep runs where this does, so that it runs in few processes."""


@dataclass(frozen=True, slots=True)
class Dana:
    """The services of a process, wired but not yet running."""

    settings: Settings
    http: Application
    services: list[tuple[Service, Platform]]
    platform_shards: Shards
    valkey: Valkey
    caches: Caches
    replicas: Replicas
    binding: Binding
    asking: Asking
    has_upkeep: bool


def compose(settings: Settings, names: Collection[str] = ALL) -> Dana:
    """Wire some services. Nothing is connected before it is started or used."""
    valkey = Valkey(settings.redis_url)
    fanout = Fanout(valkey)
    ephemera = Ephemera(fanout)
    keys = Keys(settings.secrets)
    replicas = Replicas(settings)
    binding = binding_of(settings, valkey)
    caches = Caches(valkey)

    def platform(service: str) -> Platform:
        shards = Shards(settings, service, replicas)
        return Platform(settings, shards, keys, valkey, fanout, ephemera, binding, caches)

    asking = _asking(settings, names)
    services = _services(platform, names, RemoteKnowledge(asking))
    platform_shards = Shards(settings, "realtime")
    routers = [router for service, _ in services for router in service.routers]
    counting = Counting(Limits(valkey, settings.limits_factor), keys)
    http = make_app(routers, keys, readiness(platform_shards), [counting])
    if Upstream.WEB in names:
        http = cast("Application", Static(http, settings.web_dir, settings.widget_dir))
    return Dana(
        settings,
        http,
        services,
        platform_shards,
        valkey,
        caches,
        replicas,
        binding,
        asking,
        UPKEEP_BESIDE in names,
    )


def describe_all(settings: Settings) -> bytes:
    """Return the description of the API of all services (OpenAPI 3.1), wherever they run."""
    valkey = Valkey(settings.redis_url)
    fanout = Fanout(valkey)
    keys = Keys(settings.secrets)

    def platform(service: str) -> Platform:
        return Platform(
            settings, Shards(settings, service), keys, valkey, fanout, Ephemera(fanout), PostgresBinding()
        )

    services = _services(platform, ALL, RemoteKnowledge(_asking(settings, ALL)), will_run=False)
    routers = [router for service, _ in services for router in service.routers]
    return msgspec.json.encode(describe(routers, keys, settings.public_url))


@contextlib.asynccontextmanager
async def started(dana: Dana) -> AsyncIterator[list[Running]]:
    """Run the services' consumers, jobs and sockets for the length of the block."""
    await asyncio.gather(dana.valkey.start(), dana.caches.start())
    await dana.binding.start()
    running = [Running(service, platform) for service, platform in dana.services]
    for _, platform in dana.services:
        platform.shards.on_commit.append(platform.fanout.committed)
        platform.shards.on_commit.append(dana.binding.committed)
    jobs = maintenance(dana.platform_shards) + upkeep_of(dana.settings, dana.platform_shards)
    jobs.append(watch_backups(dana.settings.data_dir))
    upkeep = Scheduler("platform", dana.platform_shards, jobs if dana.has_upkeep else [])
    await upkeep.start()
    begun: list[Running] = []
    try:
        for service in running:
            begun.append(service)
            await service.start()
        yield begun
    finally:
        await upkeep.stop()
        for service in reversed(begun):
            await service.stop()
        await dana.asking.close()
        await dana.platform_shards.close()
        await dana.binding.stop()
        await dana.replicas.stop()
        await dana.caches.stop()
        await dana.valkey.stop()


async def serve(settings: Settings, names: Collection[str], on_ready: Callable[[], None]) -> None:
    """Run until SIGTERM, SIGINT or cancellation; then drain and stop in reverse order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    dana = compose(settings, names)
    async with started(dana) as running:

        async def drain() -> None:
            await asyncio.gather(*(service.drain() for service in running))

        await serve_http(dana.http, settings.http_host, settings.http_port, on_ready, stop, drain=drain)


def readiness(shards: Shards) -> Callable[[], Awaitable[dict[str, str]]]:
    """Make the answer to /readyz: the catalog and at least one shard have answered once.

    Later outages don't unmake it: every process would turn unready at the same moment, and requests that
    should hear "try again in a second" would find nobody. Valkey may be away; that costs only speed.
    """
    has_been_ready = False

    async def missing() -> dict[str, str]:
        nonlocal has_been_ready
        if has_been_ready:
            return {}
        failures: dict[str, str] = {}
        try:
            for shard in await shards.names():
                try:
                    async with connection_of(await shards.pool(shard)) as connection:
                        await connection.fetchval("select 1", timeout=2)
                    has_been_ready = True
                except (Problem, OSError) as error:
                    failures[shard] = str(error) or type(error).__name__
        except (Problem, OSError) as error:
            failures["catalog"] = str(error) or type(error).__name__
        return {} if has_been_ready else failures

    return missing


def _services(
    platform_of: Callable[[str], Platform],
    names: Collection[str],
    knowledge: Knowledge,
    *,
    will_run: bool = True,
) -> list[tuple[Service, Platform]]:
    """Build services in the order in which they start; those that are only described load no model.

    `knowledge` is asked where it doesn't run in this process.
    """
    services = []
    for name in ALL:
        if name not in names:
            continue
        platform = platform_of(name)
        if name is Upstream.KNOWLEDGE:
            from dana.services.knowledge.service import build as build_knowledge  # noqa: PLC0415

            service, knowledge = build_knowledge(platform, has_model=will_run)
        elif name is Upstream.AI:
            from dana.services.ai.service import build as build_ai  # noqa: PLC0415

            service = build_ai(platform, knowledge)
        else:
            service = _build(name, platform)
        services.append((service, platform))
    return services


def _build(name: Upstream, platform: Platform) -> Service:
    """Build a service that asks nobody; what it is made of is imported only now, where it is wanted."""
    match name:
        case Upstream.AUTH:
            from dana.services.auth.service import build  # noqa: PLC0415
        case Upstream.CONVERSATIONS:
            from dana.services.conversations.service import build  # noqa: PLC0415
        case Upstream.PLACEMENT:
            from dana.services.placement.service import build  # noqa: PLC0415
        case Upstream.REALTIME:
            from dana.services.realtime.service import build  # noqa: PLC0415
        case _:
            build = _build_web
    return build(platform)


def _build_web(platform: Platform) -> Service:
    settings = platform.settings
    routers = [description_router(lambda: describe_all(settings)), jobs_router(settings, platform.keys)]
    return Service(name=Upstream.WEB, routers=routers)


def _asking(settings: Settings, names: Collection[str]) -> Asking:
    return Asking("+".join(sorted(names)), Directory.of(settings), ServiceTokens(settings.secrets))
