"""HTTP in: inboxes and conversations for members, and the widget for visitors."""

from litestar import Router
from litestar.di import Provide

from dana.platform.identity import Keys
from dana.platform.shards import Shards
from dana.services.conversations.api import conversations, inboxes, widget


def routers(shards: Shards, keys: Keys) -> list[Router]:
    """Build the routes of this service."""
    dependencies = {
        "shards": Provide(lambda: shards, sync_to_thread=False),
        "keys": Provide(lambda: keys, sync_to_thread=False),
    }
    return [
        Router("/api/v1/inboxes", route_handlers=inboxes.ROUTES, dependencies=dependencies, tags=["inboxes"]),
        Router(
            "/api/v1/conversations",
            route_handlers=conversations.ROUTES,
            dependencies=dependencies,
            tags=["conversations"],
        ),
        Router("/api/v1/widget", route_handlers=widget.ROUTES, dependencies=dependencies, tags=["widget"]),
    ]
