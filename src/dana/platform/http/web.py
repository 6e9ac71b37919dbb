"""What belongs to no service: the description of the whole API, whichever processes answer it."""

import asyncio
from collections.abc import Callable

from litestar import MediaType, Response, Router, get


def description_router(describe: Callable[[], bytes]) -> Router:
    """Make the route of /openapi.json; the document is made when first asked for, and kept."""
    making: list[asyncio.Task[bytes]] = []

    @get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response[bytes]:
        if not making or (making[0].done() and making[0].exception()):
            making[:] = [asyncio.create_task(asyncio.to_thread(describe))]
        return Response(await asyncio.shield(making[0]), media_type=MediaType.JSON)

    return Router("/", route_handlers=[openapi])
