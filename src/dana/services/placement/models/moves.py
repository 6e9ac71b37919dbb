"""A move: one organization on its way from one shard to another, and what is known about it.

requested ► prepared ► copying ► synced ► frozen ► arrived ► SWITCHED ► disconnected ► verified ► purged
    └───────────┴─────────┴─────────┴────────┴────────┘                       └───► unproven ───┘
                          └► aborting ► aborted

The switch, in the catalog, is the point of no return: before it a move is aborted, after it rolled back.
"""

from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

import msgspec

from dana.contracts.ids import OrgId

MoveId = NewType("MoveId", UUID)

Digests = dict[int, tuple[int, int]]
"""Of a table: how many rows each bucket of keys has, and the checksum over all of them."""


class MoveState(StrEnum):
    """How far a move has come. Recorded before the work of a state begins, so that another can resume it."""

    REQUESTED = "requested"
    PREPARED = "prepared"  # the tables are kept as they are, the target is being made ready
    COPYING = "copying"
    SYNCED = "synced"  # everything is there, changes follow at once
    FROZEN = "frozen"  # nobody writes, for some milliseconds
    ARRIVED = "arrived"  # the last change is there
    SWITCHED = "switched"  # everybody is sent to the target
    DISCONNECTED = "disconnected"  # nothing is replicated any more; both copies are compared
    VERIFIED = "verified"  # every row had arrived as it was
    UNPROVEN = "unproven"  # compared, but not for every row could that be shown: see the checks
    PURGED = "purged"  # the source's copy is gone
    ABORTING = "aborting"
    ABORTED = "aborted"


class Step(StrEnum):
    """What has just been done within a state; tests stop a driver there."""

    HELD = "held"
    EXPECTED = "expected"
    CLEARED = "cleared"
    MARKED = "marked"
    PUBLISHED = "published"
    SLOT_MADE = "slot made"
    SUBSCRIBED = "subscribed"
    REHEARSED = "rehearsed"
    FROZEN = "frozen"
    MARKER_SEEN = "marker seen"
    OPENED = "opened"
    SWITCHED = "switched"
    LEFT = "left"
    UNSUBSCRIBED = "unsubscribed"
    SLOT_DROPPED = "slot dropped"
    UNPUBLISHED = "unpublished"
    SUMMED_UP = "summed up"  # the target's tables, as they were at the switch
    COMPARED = "compared"  # one table
    UNMARKED = "unmarked"
    CLOSED = "closed"  # the target, when a move is aborted
    THAWED = "thawed"
    FORGOTTEN = "forgotten"


BEFORE_SWITCH = frozenset(
    {
        MoveState.REQUESTED,
        MoveState.PREPARED,
        MoveState.COPYING,
        MoveState.SYNCED,
        MoveState.FROZEN,
        MoveState.ARRIVED,
    }
)
ENDED = frozenset({MoveState.VERIFIED, MoveState.UNPROVEN, MoveState.PURGED, MoveState.ABORTED})


class Target(msgspec.Struct, frozen=True):
    """Whom a shard may take in."""

    name: str
    is_open: bool
    dedicated_to: UUID | None


class TableCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What the comparison of one table found: the source's copy beside the target's at the switch."""

    table: str
    rows: int
    """At the source."""
    differing: int
    """Rows that are not the same on both sides, or only on one."""
    changed: int = 0
    """Rows written at the target since the switch, so that they can't be compared; 0 in an exact check."""
    missing: int = 0
    """Rows no longer at the target: deleted there since, or never arrived; 0 in an exact check."""
    is_exact: bool = True
    """Whether the target was seen as it was at the switch, before anybody wrote there."""
    keys: list[str] = []
    """The first differing or missing rows, by their keys."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the replication has come."""

    rows_copied: int
    rows_expected: int
    lag_bytes: int
    held_bytes: int


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One move, as it is recorded in the catalog."""

    id: MoveId
    org_id: OrgId
    source: str
    target: str
    epoch: int
    """The organization's epoch at the source; at the target it is one more."""
    state: MoveState
    rows_copied: int
    rows_expected: int
    """An estimate; 0 while nothing is known."""
    lag_bytes: int | None
    held_bytes: int | None
    """Log that the source's server must keep for this move."""
    write_pause_ms: float | None
    requested_at: datetime
    changed_at: datetime
    error: str | None
    """Why it was aborted, what it waits for, or what could not be proven."""
    is_abort_wanted: bool
    checks: list[TableCheck] | None
    back_of: MoveId | None
    """The move that this one takes back."""

    @property
    def is_before_switch(self) -> bool:
        """Whether the organization still lives at the source, and the move may be aborted."""
        return self.state in BEFORE_SWITCH

    @property
    def is_ended(self) -> bool:
        """Whether nothing goes on by itself any more."""
        return self.state in ENDED

    @property
    def is_proven(self) -> bool:
        """Whether every row is known to have arrived."""
        return self.checks is not None and all(c.is_exact and not c.differing for c in self.checks)
