"""HTTP in: shards and moves, for the people who run the platform and nobody else."""

from typing import Any

from litestar import Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler

from dana.contracts.views import PlatformRole
from dana.platform.http.app import bearer_token
from dana.platform.identity import Keys, require_platform
from dana.services.placement.actions.desk import Desk
from dana.services.placement.api import moves, shards

BODY_BYTES = 64 * 1024


def routers(desk: Desk, keys: Keys) -> list[Router]:
    """Build the routes of this service; who may not use them hears that before anything else is read.

    Support may look; an admin may act.
    """

    def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        role = PlatformRole.SUPPORT if connection.scope.get("method") == "GET" else PlatformRole.ADMIN
        require_platform(keys.verify_member(bearer_token(connection)), role)

    return [
        Router(
            "/api/v1/platform",
            route_handlers=[*shards.ROUTES, *moves.ROUTES],
            dependencies={"desk": Provide(lambda: desk, sync_to_thread=False)},
            guards=[guard],
            request_max_body_size=BODY_BYTES,
            tags=["platform"],
        )
    ]
