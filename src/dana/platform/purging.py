"""Telling a caching proxy, or a content delivery network, which of its answers are out of date.

It is told by surrogate key: `POST DANA_CDN_PURGE_URL` with the header `Surrogate-Key: key key`, as Fastly and
others understand it; a Varnish needs a few lines, which docs/operate/caches-and-limits.md has.
"""

import asyncio

import httpx
import structlog
from prometheus_client import Counter

from dana.platform.errors import Unavailable
from dana.platform.network import forbid_network_in_tx

TIMEOUT_SECONDS = 5.0
AGAIN_SECONDS = 3.0  # an answer on its way to the proxy while it was told arrives within this, and is old

PURGES = Counter("dana_purges_total", "Times the caching proxy was told of changes.", ["outcome"])

log = structlog.get_logger(__name__)


class Purger:
    """Tells one proxy. Without an address there is none, and nothing to tell."""

    def __init__(self, url: str, header: str = "", transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`header` is a whole line, `Name: value`, by which the proxy knows us."""
        self._url = url
        name, _, value = header.partition(":")
        self._headers = {name.strip(): value.strip()} if value else {}
        self._transport = transport
        self._repeats: set[asyncio.Task[None]] = set()

    @property
    def is_there(self) -> bool:
        """Whether there is a proxy."""
        return bool(self._url)

    async def purge(self, *surrogate_keys: str) -> None:
        """Have the proxy ask again for everything under these keys; raises Unavailable."""
        if not self.is_there:
            return
        await self._tell(surrogate_keys)
        repeat = asyncio.create_task(self._tell_again(surrogate_keys))
        self._repeats.add(repeat)
        repeat.add_done_callback(self._repeats.discard)

    async def stop(self) -> None:
        """Leave what would only be repeated."""
        for repeat in list(self._repeats):
            repeat.cancel()
        await asyncio.gather(*self._repeats, return_exceptions=True)

    async def _tell(self, surrogate_keys: tuple[str, ...]) -> None:
        forbid_network_in_tx()
        headers = {**self._headers, "Surrogate-Key": " ".join(surrogate_keys)}
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT_SECONDS) as http:
                answer = await http.post(self._url, headers=headers)
        except httpx.HTTPError as error:
            PURGES.labels("failed").inc()
            raise Unavailable(f"The caching proxy can't be told of a change: {error!r}.") from error
        if not answer.is_success:
            PURGES.labels("failed").inc()
            raise Unavailable(f"The caching proxy refused to be told of a change: {answer.status_code}.")
        PURGES.labels("done").inc()

    async def _tell_again(self, surrogate_keys: tuple[str, ...]) -> None:
        await asyncio.sleep(AGAIN_SECONDS)
        try:
            await self._tell(surrogate_keys)
        except Unavailable as error:
            log.warning("purge_not_repeated", reason=error.detail)
