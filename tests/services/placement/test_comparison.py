"""The rules of a comparison, beside a slow and obvious one."""

from collections import Counter
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from dana.services.placement.models.comparison import KEYS_SHOWN, Finding, Row, compared, differing_buckets

KEYS = st.tuples(st.integers(0, 3), st.text("ab", max_size=3))
SIDE = st.dictionaries(KEYS, st.tuples(st.integers(0, 2), st.booleans()), max_size=40)
Side = dict[tuple[int, str], tuple[int, bool]]


async def rows(side: Side) -> AsyncIterator[Row]:
    for (bucket, key), (digest, is_older) in sorted(side.items()):
        yield Row(bucket, key, digest, is_older)


def obvious(ours: Side, theirs: Side, *, is_complete: bool) -> Counter[str]:
    """Say of each key what it is."""
    found: Counter[str] = Counter()
    for key in ours.keys() | theirs.keys():
        if key not in theirs:
            found["differing" if is_complete else "missing"] += 1
        elif key not in ours:
            found["differing"] += theirs[key][1]
        elif theirs[key][1]:
            found["differing"] += ours[key][0] != theirs[key][0]
        else:
            found["changed"] += 1
    return found


@given(SIDE, SIDE, st.booleans())
async def test_every_row_is_what_it_obviously_is(ours: Side, theirs: Side, is_complete: bool) -> None:
    finding = await compared(rows(ours), rows(theirs), is_complete=is_complete)
    expected = obvious(ours, theirs, is_complete=is_complete)
    assert finding.differing == expected["differing"]
    assert finding.changed == expected["changed"]
    assert finding.missing == expected["missing"]
    assert len(finding.keys) == min(KEYS_SHOWN, expected["differing"] + expected["missing"])


@given(SIDE)
async def test_a_side_is_the_same_as_itself(side: Side) -> None:
    older = {key: (digest, True) for key, (digest, _) in side.items()}
    assert await compared(rows(older), rows(older), is_complete=True) == Finding()


def test_a_bucket_differs_by_its_rows_its_checksum_or_its_absence() -> None:
    ours = {1: (2, 7), 2: (2, 7), 3: (2, 7), 4: (1, 0)}
    theirs = {1: (2, 7), 2: (1, 7), 3: (2, 8), 5: (1, 0)}
    assert differing_buckets(ours, theirs) == [2, 3, 4, 5]
