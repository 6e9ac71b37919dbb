"""Positions: how far a client has seen its organization, so that a replica never shows it less.

A position is (epoch, timeline, lsn): which shard the organization lived on, the history of that shard, and
the place in its log of changes. Written in fixed width, a greater text is a later position, so a client
simply keeps the greatest it has met, in answers (`Dana-Position`) and on the socket, and sends it along.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

HEADER = "dana-position"
ANYTHING = "any"  # sent by a client that carries positions and has none yet

_TEXT = re.compile(r"^([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{16})$")


class Position(NamedTuple):
    """A place in the history of an organization's shard; comparable."""

    epoch: int
    timeline: int
    lsn: int

    def __str__(self) -> str:
        """Write it as clients carry it."""
        return f"{self.epoch:08x}-{self.timeline:08x}-{self.lsn:016x}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """Read what a client sent; None when it is none of ours."""
        match = _TEXT.match(text)
        return cls(*(int(part, 16) for part in match.groups())) if match else None


@dataclass(slots=True)
class Seen:
    """What one request has seen so far, its own writes included; `at` only grows."""

    at: Position | None = None
    may_lag: bool = False
    """Whether this request may read from a replica: it only reads, and its client carries positions."""

    def note(self, position: Position) -> None:
        """Remember a position, unless a later one is known."""
        if self.at is None or position > self.at:
            self.at = position


seen: ContextVar[Seen | None] = ContextVar("seen", default=None)
"""Set at the edge for each request; None everywhere else, and there everything is read from the primary."""
