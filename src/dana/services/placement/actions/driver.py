"""Who drives a move: the logbook, a session on each side, and whom to tell."""

from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

import structlog

from dana.platform.errors import Problem
from dana.platform.servers import shard_addresses
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.moves import Move, MoveState, Progress, Step
from dana.services.placement.store.logbook import Logbook
from dana.services.placement.store.sessions import Connection, end_other_sessions, move_session

OnProgress = Callable[[Move], None]
OnStep = Callable[[Step], None]

log = structlog.get_logger(__name__)


class GivenUpError(Exception):
    """The move can't, or shall not, be carried on; it is aborted for this reason."""


class Driver:
    """Drives one move. Sessions are opened when they are needed, and again after an outage."""

    def __init__(
        self, desk: Desk, logbook: Logbook, move: Move, on_progress: OnProgress, on_step: OnStep
    ) -> None:
        self.desk = desk
        self.logbook = logbook
        self.move = move
        self.at = on_step
        self.snapshot: Connection | None = None
        """Sees the target as it was at the switch; only the driver that has switched has it."""
        self._on_progress = on_progress
        self._sessions: dict[str, Connection] = {}
        self._open = AsyncExitStack()
        self._looking = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.forget_sessions()
        await _closed(self._looking)

    async def source(self) -> Connection:
        """Return the session on the shard where the organization comes from; raises Unavailable."""
        return await self._session(self.move.source)

    async def target(self) -> Connection:
        """Return the session on the shard where it goes; raises Unavailable."""
        return await self._session(self.move.target)

    async def second_target(self) -> Connection:
        """Open another session on the target, which outlives outages of the source."""
        await _closed(self._looking)
        self.snapshot, self._looking = None, AsyncExitStack()
        dsn = await self.address(self.move.target)
        return await self._looking.enter_async_context(move_session(dsn, self.move.org_id))

    async def address(self, shard: str) -> str:
        """Return a shard's address for its administrator; raises GivenUpError."""
        found = (await shard_addresses(self.desk.settings)).get(shard)
        if found is None:
            raise GivenUpError(f"There is no shard named {shard} any more.")
        return found

    async def enter(self, state: MoveState, error: str | None = None) -> None:
        """Begin a state."""
        self.show(await self.logbook.enter(self.move.id, state, error))
        log.info("move_entered", move=str(self.move.id), state=state, error=error)

    async def note(self, progress: Progress) -> None:
        """Record and show how far it has come; raises GivenUpError when somebody wants it aborted."""
        self.show(await self.logbook.note(self.move.id, progress))
        self.heed_abort()

    def heed_abort(self) -> None:
        """Raise GivenUpError when somebody wants the move aborted."""
        if self.move.is_abort_wanted and self.move.is_before_switch:
            raise GivenUpError(self.move.error or "Aborted as asked.")

    def show(self, move: Move) -> None:
        """Take a new record, and show it."""
        self.move = move
        self._on_progress(move)

    async def forget_sessions(self) -> None:
        """Close the sessions on both sides; the next use opens new ones. A snapshot that lives is kept."""
        if self.snapshot is not None and self.snapshot.is_closed():
            self.snapshot = None
        self._sessions.clear()
        sessions, self._open = self._open, AsyncExitStack()
        await _closed(sessions)

    async def _session(self, shard: str) -> Connection:
        found = self._sessions.get(shard)
        if found is None:
            dsn = await self.address(shard)
            found = await self._open.enter_async_context(move_session(dsn, self.move.org_id))
            await end_other_sessions(found, self.move.org_id, self.snapshot)
            self._sessions[shard] = found
        return found


async def _closed(sessions: AsyncExitStack) -> None:
    with suppress(Problem):  # one that was lost can't say goodbye
        await sessions.aclose()
