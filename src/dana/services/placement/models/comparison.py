"""The rules of a comparison: sums over buckets of keys first, then single rows of the buckets that differ."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dana.services.placement.models.moves import Digests

KEYS_SHOWN = 20


class Row(NamedTuple):
    """One row as a comparison sees it."""

    bucket: int
    key: str
    digest: int
    is_older: bool
    """Whether it is as it was before others could write there."""


@dataclass(slots=True)
class Finding:
    """What the rows of differing buckets are."""

    differing: int = 0
    changed: int = 0
    missing: int = 0
    keys: list[str] = field(default_factory=list)


def differing_buckets(ours: Digests, theirs: Digests) -> list[int]:
    """Name the buckets that are not the same on both sides."""
    return sorted(bucket for bucket in ours.keys() | theirs.keys() if ours.get(bucket) != theirs.get(bucket))


async def compared(ours: AsyncIterator[Row], theirs: AsyncIterator[Row], *, is_complete: bool) -> Finding:
    """Compare the rows of two sides, both by bucket and key.

    Unless theirs are complete, as they were at the switch, a row that is newer, or not there any more, tells
    nothing about what had arrived.
    """
    finding = Finding()
    async for our, their in _side_by_side(ours, theirs):
        if our is None:
            is_wrong = their is not None and their.is_older
        elif their is None:
            is_wrong = is_complete
            finding.missing += not is_complete
        else:
            is_wrong = their.is_older and our.digest != their.digest
            finding.changed += not their.is_older
        finding.differing += is_wrong
        is_suspect = is_wrong or (our is not None and their is None)
        if is_suspect and len(finding.keys) < KEYS_SHOWN:
            known = our or their
            finding.keys += [known.key] if known else []
    return finding


async def _side_by_side(
    ours: AsyncIterator[Row], theirs: AsyncIterator[Row]
) -> AsyncIterator[tuple[Row | None, Row | None]]:
    our, their = await anext(ours, None), await anext(theirs, None)
    while our is not None or their is not None:
        is_ours = their is None or (our is not None and our[:2] <= their[:2])
        is_theirs = our is None or (their is not None and their[:2] <= our[:2])
        yield our if is_ours else None, their if is_theirs else None
        our = await anext(ours, None) if is_ours else our
        their = await anext(theirs, None) if is_theirs else their
