"""Moves of organizations between shards, while they work: the verbs."""

from collections.abc import Callable

from dana.contracts.ids import OrgId
from dana.services.placement.actions.desk import Desk
from dana.services.placement.models.moves import Move, MoveId, TableCheck

OnProgress = Callable[[Move], None]


async def request(desk: Desk, org_id: OrgId, target: str) -> Move:
    """Ask for a move; `drive`, or the service's job, carries it out. Raises Missing and Conflict."""
    raise NotImplementedError


async def drive(desk: Desk, move_id: MoveId, on_progress: OnProgress) -> Move:
    """Carry a move out, or on, to its end; while somebody else does that, follow it.

    Calls `on_progress` at each state, and about five times a second in between. Raises Missing, and
    Unavailable when a database stays away: the move then waits to be driven on.
    """
    raise NotImplementedError


async def abort(desk: Desk, move_id: MoveId) -> Move:
    """Ask for the end of a move before its switch; whoever drives it carries that out.

    Raises Missing, and Conflict after the switch.
    """
    raise NotImplementedError


async def rollback(desk: Desk, move_id: MoveId) -> Move:
    """Ask for a new move, back to where the organization came from. Raises Missing and Conflict."""
    raise NotImplementedError


async def verify(desk: Desk, move_id: MoveId) -> list[TableCheck]:
    """Compare the source's copy with what had arrived. Raises Missing and Conflict."""
    raise NotImplementedError


async def purge(desk: Desk, move_id: MoveId, *, accept_unproven: bool = False) -> Move:
    """Delete the source's copy of a moved organization. Raises Missing and Conflict."""
    raise NotImplementedError


async def find(desk: Desk, move_id: MoveId) -> Move:
    """Read one move; raises Missing."""
    raise NotImplementedError


async def list_moves(desk: Desk, *, only_open: bool) -> list[Move]:
    """List moves, newest first: all that are kept, or those that haven't ended."""
    raise NotImplementedError
