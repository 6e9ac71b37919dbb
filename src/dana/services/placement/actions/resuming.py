"""Moves that nobody drives are taken up: asked for over the API, or left by a driver that died."""

import asyncio
from functools import partial

import structlog

from dana.platform.errors import Problem
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.driving import carry_on
from dana.services.placement.models.moves import MoveId
from dana.services.placement.store import moves

MOST_DRIVEN = 4  # by one process; others wait for the next look

log = structlog.get_logger(__name__)


class Movers:
    """The moves that this process drives."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._driven: dict[MoveId, asyncio.Task[None]] = {}

    async def take_up(self) -> None:
        """Drive what is open and driven by nobody, beside whatever else this process does."""
        async with self._desk.shards.catalog.read() as tx:
            found = await moves.open_moves(tx)
        for move in reversed(found):
            if move.id not in self._driven and len(self._driven) < MOST_DRIVEN:
                task = self._driven[move.id] = asyncio.create_task(self._drive(move.id))
                task.add_done_callback(partial(self._forget, move.id))

    async def stop(self) -> None:
        """Let go of all; another process, or the next start, carries them on."""
        tasks = list(self._driven.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, move_id: MoveId) -> None:
        try:
            await carry_on(self._desk, move_id, lambda _: None)
        except Problem as problem:
            log.warning("move_not_driven", move=str(move_id), error=problem.detail)

    def _forget(self, move_id: MoveId, task: asyncio.Task[None]) -> None:
        del self._driven[move_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("move_not_driven", move=str(move_id), exc_info=error)
