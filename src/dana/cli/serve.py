"""`dana serve`: all services in one process and one event loop."""

import asyncio
import gc

import structlog
import uvloop

from dana.app import serve as run
from dana.cli.terminal import fail
from dana.platform.settings import Settings
from dana.platform.telemetry import configure_logging

log = structlog.get_logger(__name__)


def serve() -> None:
    """Run until SIGTERM or SIGINT."""
    configure_logging()
    try:
        settings = Settings.from_environment()
    except KeyError as missing:
        fail(f"Set {missing.args[0]} first; `dana up` does that for you.")
    # What was imported lives for ever: the garbage collector needn't look at it again and again.
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings, lambda: log.info("services_ready", port=settings.http_port)))
