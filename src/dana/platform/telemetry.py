"""Telemetry: JSON logs with request, trace and organization ids, and the platform's metrics."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "dana_http_request_seconds",
    "Time to answer a request.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
DELIVERIES = Counter("dana_deliveries_total", "Events consumed.", ["group", "lane", "outcome"])
BACKLOG = Gauge(
    "dana_backlog", "Events due (ready) or laid aside (dead).", ["shard", "group", "lane", "state"]
)
OLDEST = Gauge(
    "dana_backlog_oldest_seconds", "Age of the oldest event that is due.", ["shard", "group", "lane"]
)

request_context: ContextVar[dict[str, str] | None] = ContextVar("request_context", default=None)
"""Request, trace and organization of what is being done; stands in every log line written meanwhile.

One mutable dictionary a request, so that what is learnt deeper inside is known at its edge, too.
"""

_SECRET_KEYS = re.compile(r"password|token|secret|api_?key|authorization|cookie", re.IGNORECASE)


def configure_logging(level: str = "INFO") -> None:
    """Send every log line, the libraries' too, to standard error as one JSON object."""
    structlog.configure(
        processors=[
            _add_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = _ToStructlog()
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Replace the value of every field whose name says that it is a secret."""
    return {key: "***" if _SECRET_KEYS.search(key) else value for key, value in event.items()}


def _add_request(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    known = request_context.get()
    return {**known, **event} if known else event


def _to_json(event: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


class _ToStructlog(logging.Handler):
    """Passes the standard library's records on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it as an event of the library's name."""
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )
