"""`dana run`: some services, or all of them, in one process and one event loop."""

import asyncio
import gc

import structlog
import uvloop

from dana.app import ALL, serve
from dana.cli.terminal import fail
from dana.platform.gateway.model import Upstream
from dana.platform.settings import Settings
from dana.platform.telemetry import configure_logging

EVERYTHING = "all"

log = structlog.get_logger(__name__)


def run(names: list[str]) -> None:
    """Run until SIGTERM or SIGINT."""
    services = chosen(names)
    configure_logging()
    try:
        settings = Settings.from_environment()
    except KeyError as missing:
        fail(f"Set {missing.args[0]} first; `dana up` does that for you.")
    except ValueError as wrong:
        fail(str(wrong))

    def ready() -> None:
        # What was imported lives for ever: the garbage collector needn't look at it again and again.
        gc.freeze()
        log.info("services_ready", services=services, port=settings.http_port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, services, ready))


def chosen(names: list[str]) -> tuple[Upstream, ...]:
    """Return the services of these names in their order, each once."""
    known = ", ".join(ALL)
    if not names:
        fail(f"Say what to run: {known}, or {EVERYTHING}.")
    unknown = [name for name in names if name not in (*ALL, EVERYTHING)]
    if unknown:
        fail(f"There is no service {unknown[0]!r}; there are {known}, and {EVERYTHING}.")
    return ALL if EVERYTHING in names else tuple(name for name in ALL if name in names)
