"""Public answers: the same for everybody, so browsers and a caching proxy may keep them.

A browser asks each time, and mostly hears 304. A proxy keeps an answer for long, under surrogate keys: it is
told when what the answer was made of changes (platform/purging.py). Without one it has none.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response

BROWSERS = "public, max-age=0, must-revalidate"
PROXIES = "max-age=86400, stale-while-revalidate=60, stale-if-error=86400"
ETAG_CHARACTERS = 24

T = TypeVar("T")


def public(request: Request[Any, Any, Any], value: T, surrogate_keys: Sequence[str] = ()) -> Response[T]:
    """Answer with a value that anybody may see, or with 304 when the asker has it already."""
    body = msgspec.json.encode(value)
    etag = f'"{hashlib.sha256(body).hexdigest()[:ETAG_CHARACTERS]}"'
    # The gateway lets each page's origin in by name, so an answer for one is none for another.
    headers = {"ETag": etag, "Cache-Control": BROWSERS, "Vary": "Origin"}
    if surrogate_keys:
        headers |= {"Surrogate-Control": PROXIES, "Surrogate-Key": " ".join(surrogate_keys)}
    if etag in request.headers.get("if-none-match", ""):
        unchanged: Response[Any] = Response(None, status_code=304, headers=headers)
        return unchanged
    return Response(value, headers=headers)
