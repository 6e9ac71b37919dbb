"""The answering side: routes below /internal, for services of this installation only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router, post

from dana.contracts.queries import Knowledge
from dana.platform.errors import Invalid, Missing, Unavailable
from dana.platform.http.app import bearer_token
from dana.platform.questions.tokens import ServiceTokens
from dana.platform.questions.wire import DEADLINE_HEADER, KNOWLEDGE, PREFIX, Asked

LONGEST_SECONDS = 30.0  # whatever the asker says
LARGEST_BYTES = 256 * 1024
MADE_BY_GATEWAY = "x-client-address"
"""The gateway sets this header on everything it lets through."""

_decoder = msgspec.json.Decoder(Asked)


def knowledge_router(knowledge: Knowledge, tokens: ServiceTokens) -> Router:
    """Make the routes by which others ask this process's knowledge."""

    @post("/search", include_in_schema=False, status_code=200)
    async def search(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = await _asked(request, tokens)
        async with _deadline(request):
            return _answer(await knowledge.search(asked.org_id, asked.question, asked.limit))

    @post("/quote", include_in_schema=False, status_code=200)
    async def quote(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = await _asked(request, tokens)
        async with _deadline(request):
            return _answer(await knowledge.quote(asked.org_id, asked.question, asked.limit))

    return Router(
        f"{PREFIX}/{KNOWLEDGE}", route_handlers=[search, quote], request_max_body_size=LARGEST_BYTES
    )


async def _asked(request: Request[Any, Any, Any], tokens: ServiceTokens) -> Asked:
    if MADE_BY_GATEWAY in request.headers:  # the gateway should have refused it: a second lock
        raise Missing("There is nothing at this address.")
    tokens.verify(bearer_token(request), KNOWLEDGE)
    try:
        return _decoder.decode(await request.body())
    except msgspec.DecodeError as error:
        raise Invalid(f"This is no question: {error}.") from None


@asynccontextmanager
async def _deadline(request: Request[Any, Any, Any]) -> AsyncIterator[None]:
    """End what nobody waits for any more."""
    text = request.headers.get(DEADLINE_HEADER, "")
    seconds = int(text) / 1000 if text.isdigit() else LONGEST_SECONDS
    try:
        async with asyncio.timeout(min(seconds, LONGEST_SECONDS)):
            yield
    except TimeoutError:
        raise Unavailable("The answer took longer than its asker waits.") from None


def _answer(found: Any) -> Response[bytes]:
    return Response(msgspec.json.encode(found), media_type=MediaType.JSON)
