"""The write-ahead log's geography: positions, segment files, and timelines that fork from one another."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

SEGMENT_BYTES = 16 * 1024 * 1024
LOG_BYTES = 1 << 32  # the middle part of a segment's name counts these

_SEGMENT = re.compile(r"^[0-9A-F]{24}$")
_FORK = re.compile(r"^\s*(\d+)\s+([0-9A-Fa-f]+/[0-9A-Fa-f]+)")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of the log: which part of it, and on which timeline."""

    number: int
    timeline: int

    def name(self, segment_bytes: int) -> str:
        """Name the file as PostgreSQL does."""
        per_log = LOG_BYTES // segment_bytes
        return f"{self.timeline:08X}{self.number // per_log:08X}{self.number % per_log:08X}"


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a timeline ends and the next begins."""

    timeline: int
    lsn: int


def parse_lsn(text: str) -> int:
    """Read a position such as 1/6B374D8."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def show_lsn(lsn: int) -> str:
    """Write a position as PostgreSQL does."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:08X}"


def segment_named(name: str, segment_bytes: int) -> Segment | None:
    """Read a segment's name; None when it isn't one."""
    if not _SEGMENT.match(name):
        return None
    per_log = LOG_BYTES // segment_bytes
    return Segment(int(name[8:16], 16) * per_log + int(name[16:], 16), int(name[:8], 16))


def read_forks(history: str) -> list[Fork]:
    """Read a timeline's history file: which timelines lead to it, and where each was left, oldest first."""
    matches = (_FORK.match(line) for line in history.splitlines())
    return [Fork(int(match[1]), parse_lsn(match[2])) for match in matches if match]


@dataclass(frozen=True, slots=True)
class Walk:
    """The segments one after the other from a start, and whether more lie beyond a gap."""

    segments: tuple[Segment, ...]
    is_holed: bool

    @property
    def end(self) -> int:
        """The number of the first segment that isn't there."""
        return self.segments[-1].number + 1 if self.segments else 0


def walk(
    start: Segment,
    whole: Iterable[Segment],
    begun: Iterable[Segment],
    histories: dict[int, list[Fork]],
    size: int,
) -> Walk:
    """Follow the log from a segment on, as recovery to the newest timeline does.

    `begun` are segments not written to their end: one may be the last. A segment in which a timeline forks is
    taken from the newer timeline, whose file begins with a copy of the older one's.
    """
    there, last = set(whole), set(begun)
    lineage = _lineage(start.timeline, histories, size)
    path: list[Segment] = []
    number = start.number
    while found := _first(lineage, number, there):
        path.append(found)
        number += 1
    if found := _first(lineage, number, last):
        path.append(found)
        number += 1
    is_holed = any(s.number >= number and s in _on(lineage, s.number) for s in there | last)
    return Walk(tuple(path), is_holed)


def _lineage(timeline: int, histories: dict[int, list[Fork]], size: int) -> list[tuple[int, int]]:
    """Return the timelines that descend from one, newest first, each with the segment it begins in."""
    heirs = [heir for heir, forks in histories.items() if timeline in {fork.timeline for fork in forks}]
    if not heirs:
        return [(timeline, 0)]
    forks = histories[max(heirs)]
    order = [fork.timeline for fork in forks] + [max(heirs)]
    begins = [0] + [fork.lsn // size for fork in forks]
    line = list(zip(order, begins, strict=True))
    return line[: order.index(timeline) - len(order) - 1 : -1]


def _on(lineage: list[tuple[int, int]], number: int) -> list[Segment]:
    """Return the files that may hold a part of the log, the one to prefer first."""
    files = []
    for timeline, begin in lineage:
        if begin <= number:
            files.append(Segment(number, timeline))
        if begin < number:
            break
    return files


def _first(lineage: list[tuple[int, int]], number: int, there: set[Segment]) -> Segment | None:
    return next((segment for segment in _on(lineage, number) if segment in there), None)
