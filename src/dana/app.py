"""The composition: which services there are, what each asks of the others, and how they run in one process.

settings ─► Valkey, fan-out, keys ─► one Platform per service (its own database role)
         ─► services ─► one HTTP application, their consumers, jobs and sockets
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import cast

import structlog
import uvicorn

from dana.platform.bus import Binding, PostgresBinding
from dana.platform.ephemera import Ephemera
from dana.platform.errors import Problem
from dana.platform.fanout import Fanout
from dana.platform.http import make_app
from dana.platform.http.asgi import Application
from dana.platform.http.static import Static
from dana.platform.identity import Keys
from dana.platform.jobs import Scheduler
from dana.platform.maintenance import maintenance
from dana.platform.pools import connection_of
from dana.platform.replicas import Replicas
from dana.platform.service import Platform, Running, Service
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey
from dana.services.ai.service import build as build_ai
from dana.services.auth.service import build as build_auth
from dana.services.conversations.service import build as build_conversations
from dana.services.knowledge.service import build as build_knowledge
from dana.services.placement.service import build as build_placement
from dana.services.realtime.service import build as build_realtime

DRAIN_SECONDS = 8
BACKLOG_CONNECTIONS = 2048

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Dana:
    """All services of a process, wired but not yet running."""

    http: Application
    services: list[tuple[Service, Platform]]
    platform_shards: Shards
    valkey: Valkey
    replicas: Replicas
    binding: Binding


def compose(settings: Settings) -> Dana:
    """Wire all services. Nothing is connected before it is started or used."""
    valkey = Valkey(settings.redis_url)
    fanout = Fanout(valkey)
    ephemera = Ephemera(fanout)
    keys = Keys(settings.secrets)
    replicas = Replicas(settings)
    binding = PostgresBinding(valkey)

    def platform(service: str) -> Platform:
        return Platform(
            settings, Shards(settings, service, replicas), keys, valkey, fanout, ephemera, binding
        )

    names = ("auth", "conversations", "knowledge", "ai", "placement", "realtime")
    platforms = {name: platform(name) for name in names}
    knowledge, answers = build_knowledge(platforms["knowledge"])
    services = [
        build_auth(platforms["auth"]),
        build_conversations(platforms["conversations"]),
        knowledge,
        build_ai(platforms["ai"], answers),
        build_placement(platforms["placement"]),
        build_realtime(platforms["realtime"]),
    ]
    platform_shards = Shards(settings, "realtime")
    routers = [router for service in services for router in service.routers]
    http = make_app(routers, keys, readiness(platform_shards), settings.public_url)
    return Dana(
        http=cast("Application", Static(http, settings.web_dir, settings.widget_dir)),
        services=[(service, platforms[service.name]) for service in services],
        platform_shards=platform_shards,
        valkey=valkey,
        replicas=replicas,
        binding=binding,
    )


@contextlib.asynccontextmanager
async def started(dana: Dana) -> AsyncIterator[None]:
    """Run the services' consumers, jobs and sockets for the length of the block."""
    await dana.valkey.start()
    await dana.binding.start()
    running = [Running(service, platform) for service, platform in dana.services]
    for _, platform in dana.services:
        platform.shards.on_commit.append(platform.fanout.committed)
        platform.shards.on_commit.append(dana.binding.committed)
    upkeep = Scheduler("platform", dana.platform_shards, maintenance(dana.platform_shards))
    await upkeep.start()
    begun: list[Running] = []
    try:
        for service in running:
            begun.append(service)
            await service.start()
        yield
    finally:
        await upkeep.stop()
        for service in reversed(begun):
            await service.stop()
        await dana.platform_shards.close()
        await dana.binding.stop()
        await dana.replicas.stop()
        await dana.valkey.stop()


async def serve(settings: Settings, on_ready: Callable[[], None]) -> None:
    """Run until SIGTERM, SIGINT or cancellation; then drain and stop in reverse order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    dana = compose(settings)
    async with started(dana):
        server = _Server(
            uvicorn.Config(
                dana.http,
                host=settings.http_host,
                port=settings.http_port,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the gateway says in a header of its own where a request is from
                backlog=BACKLOG_CONNECTIONS,
                timeout_keep_alive=75,  # longer than the gateway's: it never meets a closing connection
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        serving = asyncio.create_task(server.serve())
        listening = asyncio.create_task(server.is_listening.wait())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([serving, listening], return_when=asyncio.FIRST_COMPLETED)
            on_ready()
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            await serving
            for task in (listening, stopping):
                task.cancel()


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


class _Server(uvicorn.Server):
    """Leaves signals to `serve`, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port; a port in use ends the process with a clear log line."""
        await super().startup(sockets)
        self.is_listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
