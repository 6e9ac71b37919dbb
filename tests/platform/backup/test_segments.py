"""The log's geography: names of segments, and the way recovery takes over gaps and forks."""

from hypothesis import given
from hypothesis import strategies as st

from dana.platform.backup.segments import (
    SEGMENT_BYTES,
    Fork,
    Segment,
    Walk,
    parse_lsn,
    read_forks,
    segment_named,
    show_lsn,
    walk,
)

HISTORY = "1\t0/5001558\tno recovery target specified\n\n2\t0/9000000\tbefore 2026-11-24 03:10:00+00\n"


def on(timeline: int, *numbers: int) -> list[Segment]:
    return [Segment(number, timeline) for number in numbers]


def walked(start: Segment, whole: list[Segment], begun: list[Segment], history: str = "") -> Walk:
    forks = read_forks(history)
    histories = {forks[-1].timeline + 1: forks} if forks else {}
    return walk(start, whole, begun, histories, SEGMENT_BYTES)


@given(st.integers(0, 2**64 - 1))
def test_positions_read_back(lsn: int) -> None:
    assert parse_lsn(show_lsn(lsn)) == lsn


@given(st.integers(0, 2**40), st.integers(1, 2**32 - 1), st.sampled_from((1 << 20, SEGMENT_BYTES, 1 << 30)))
def test_names_read_back(number: int, timeline: int, size: int) -> None:
    number %= 2**32 * (2**32 // size)
    name = Segment(number, timeline).name(size)
    assert len(name) == 24
    assert segment_named(name, size) == Segment(number, timeline)


def test_a_name_is_as_postgresql_writes_it() -> None:
    assert Segment(0x1A3, 2).name(SEGMENT_BYTES) == "0000000200000001000000A3"
    assert segment_named("00000002.history", SEGMENT_BYTES) is None


def test_a_whole_way_ends_with_the_segment_that_was_only_begun() -> None:
    found = walked(Segment(4, 1), on(1, 3, 4, 5, 6), on(1, 7))
    assert found == Walk((*on(1, 4, 5, 6, 7),), is_holed=False)


def test_a_gap_is_noticed() -> None:
    assert walked(Segment(4, 1), on(1, 4, 6), []) == Walk((*on(1, 4),), is_holed=True)
    assert walked(Segment(4, 1), on(1, 4, 6), on(1, 5)) == Walk((*on(1, 4, 5),), is_holed=True)
    assert walked(Segment(4, 1), on(1, 5), []) == Walk((), is_holed=True)
    assert walked(Segment(4, 1), on(1, 4), on(1, 6)) == Walk((*on(1, 4),), is_holed=True)


def test_nothing_received_yet_is_no_gap() -> None:
    assert walked(Segment(4, 1), on(1, 3), []) == Walk((), is_holed=False)


def test_the_way_goes_on_where_timelines_fork() -> None:
    """Timeline 2 left 1 in segment 5, and 3 left 2 at the beginning of segment 9."""
    assert read_forks(HISTORY) == [Fork(1, 0x5001558), Fork(2, 0x9000000)]
    whole = [*on(1, 3, 4), *on(2, 5, 6, 7, 8), *on(3, 9, 10)]
    begun = [*on(1, 5), *on(2, 9), *on(3, 11)]
    found = walked(Segment(3, 1), whole, begun, HISTORY)
    assert found == Walk((*on(1, 3, 4), *on(2, 5, 6, 7, 8), *on(3, 9, 10, 11)), is_holed=False)


def test_what_was_left_behind_at_a_fork_is_no_gap() -> None:
    whole = [*on(1, 3, 4, 5, 6, 7), *on(2, 5)]
    assert walked(Segment(3, 1), whole, on(2, 6), "1\t0/5001558\tx") == Walk(
        (*on(1, 3, 4), *on(2, 5, 6)), is_holed=False
    )
