"""The HTTP application of a process: the routes of its services and what every process answers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from litestar import Litestar, Request, Response, Router, get
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Guard
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dana.platform.errors import Problem, Unauthenticated
from dana.platform.http.asgi import Application
from dana.platform.http.observed import Observed
from dana.platform.http.problems import PROBLEM_RESPONSES, on_bug, on_garbled, on_http_exception, on_problem
from dana.platform.identity import Keys, Member, Visitor
from dana.platform.telemetry import request_context

MAX_BODY_BYTES = 26 * 1024 * 1024  # the largest upload (25 MB) and its multipart frame

Who = TypeVar("Who", bound=Member | Visitor)

Ready = Callable[[], Awaitable[dict[str, str]]]
"""Tells what is not ready, by part, with the reason; empty when all is."""


def make_app(routers: list[Router], keys: Keys, ready: Ready, guards: Sequence[Guard] = ()) -> Application:
    """Build the application of some services' routers; guards stand before all of them."""

    @get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @get("/readyz", include_in_schema=False)
    async def readyz() -> Response[dict[str, Any]]:
        missing = await ready()
        status = {"status": "waiting" if missing else "ready", "waiting_for": missing}
        return Response(status, status_code=503 if missing else 200)

    @get("/metrics", include_in_schema=False)
    async def metrics() -> Response[bytes]:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app = _litestar([*routers, healthz, readyz, metrics], keys, None, guards)
    return Observed(cast("Application", app))


def describe(routers: list[Router], keys: Keys, public_url: str) -> dict[str, Any]:
    """Describe the API of these routers, as OpenAPI 3.1."""
    for router in routers:
        for route in router.routes:
            for handler in getattr(route, "route_handlers", []):
                handler.responses = {**PROBLEM_RESPONSES, **(handler.responses or {})}
    return _litestar(routers, keys, _openapi(public_url)).openapi_schema.to_schema()


def _litestar(
    handlers: Sequence[Any], keys: Keys, openapi_config: OpenAPIConfig | None, guards: Sequence[Guard] = ()
) -> Litestar:
    def member(request: Request[Any, Any, Any]) -> Member:
        return _noted(request, keys.verify_member(bearer_token(request)))

    def visitor(request: Request[Any, Any, Any]) -> Visitor:
        return _noted(request, keys.verify_visitor(bearer_token(request)))

    def person(request: Request[Any, Any, Any]) -> Member | Visitor:
        return _noted(request, keys.verify_any(bearer_token(request)))

    return Litestar(
        route_handlers=handlers,
        dependencies={
            "member": Provide(member, sync_to_thread=False),
            "visitor": Provide(visitor, sync_to_thread=False),
            "person": Provide(person, sync_to_thread=False),
        },
        exception_handlers={
            Problem: on_problem,
            HTTPException: on_http_exception,
            UnicodeDecodeError: on_garbled,
            RecursionError: on_garbled,  # a body nested thousands deep
            Exception: on_bug,
        },
        guards=guards,
        openapi_config=openapi_config,
        request_max_body_size=MAX_BODY_BYTES,
        on_app_init=[_plain_logging],
    )


def bearer_token(request: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Take the token of the Authorization header; raises Unauthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send the header `Authorization: Bearer <token>`.")
    return token.strip()


def _noted(request: Request[Any, Any, Any], who: Who) -> Who:
    """Let the log lines of this request say whose it is."""
    if (known := request_context.get()) is not None:
        known["organization"] = str(who.org_id)
    return who


def _openapi(public_url: str) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Dana",
        version="1",
        description="Conversations with customers on every channel. Errors are problem+json; lists are "
        "`{items, next_cursor}`; a POST with an `Idempotency-Key` may be repeated.",
        security=[{"token": []}],
        components=Components(
            security_schemes={"token": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        use_handler_docstrings=True,
    )


def _plain_logging(config: AppConfig) -> AppConfig:
    """Leave logging to telemetry.py."""
    config.logging_config = None
    return config
