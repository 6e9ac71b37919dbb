"""Turns: organizations that want a connection to the same database get one in turn, however many each wants.

A pool serves in order of arrival, so a thousand requests of one organization would stand before the only one
of another. Here the next connection goes to the organization whose turn it is; one is always left for others.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter

from dana.contracts.ids import OrgId
from dana.platform.errors import Limited, Unavailable

PATIENCE_SECONDS = 5.0  # waiting longer for a connection means overload: say so instead
MOST_WAITING = 300  # of one organization; more would only wait in vain
RETRY_SECONDS = 1.0

CROWDED = Counter("dana_turns_refused_total", "Requests for which too many of the same organization waited.")


class Turns:
    """The connections to one database, by whose turn it is."""

    def __init__(self, most: int) -> None:
        """Let so many in at once."""
        self._most = most
        self._most_of_one = max(1, most - 1)
        self._inside: dict[OrgId, int] = {}
        self._count = 0
        self._waiting: OrderedDict[OrgId, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, org_id: OrgId) -> AsyncIterator[None]:
        """Wait for the organization's turn; raises Unavailable when it takes too long, Limited in a crowd."""
        if self._waiting or not self._has_room(org_id):
            await self._wait(org_id)
        else:
            self._enter(org_id)
        try:
            yield
        finally:
            self._leave(org_id)
            self._admit()

    def _has_room(self, org_id: OrgId) -> bool:
        return self._count < self._most and self._inside.get(org_id, 0) < self._most_of_one

    def _enter(self, org_id: OrgId) -> None:
        self._count += 1
        self._inside[org_id] = self._inside.get(org_id, 0) + 1

    def _leave(self, org_id: OrgId) -> None:
        self._count -= 1
        self._inside[org_id] -= 1
        if not self._inside[org_id]:
            del self._inside[org_id]

    async def _wait(self, org_id: OrgId) -> None:
        queue = self._waiting.setdefault(org_id, deque())
        if len(queue) >= MOST_WAITING:
            CROWDED.inc()
            raise Limited(
                "Too many requests of this organization are waiting. Wait, then try again.",
                RETRY_SECONDS,
                limit="at-once",
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(place)
        self._admit()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await place
        except TimeoutError:
            self._give_up(org_id, place)
            raise Unavailable("The database is too busy; nothing was saved.") from None
        except asyncio.CancelledError:
            self._give_up(org_id, place)
            raise

    def _give_up(self, org_id: OrgId, place: "asyncio.Future[None]") -> None:
        if place.done() and not place.cancelled():  # admitted at the same moment
            self._leave(org_id)
            self._admit()
            return
        place.cancel()
        queue = self._waiting.get(org_id)
        if queue is not None and place in queue:
            queue.remove(place)
            if not queue:
                del self._waiting[org_id]

    def _admit(self) -> None:
        """Let in whoever's turn it is, as many as there is room for."""
        while self._count < self._most:
            org_id = next((each for each in self._waiting if self._has_room(each)), None)
            if org_id is None:
                return
            queue = self._waiting[org_id]
            place = queue.popleft()
            if queue:
                self._waiting.move_to_end(org_id)
            else:
                del self._waiting[org_id]
            if not place.done():
                self._enter(org_id)
                place.set_result(None)
