"""What checks every event of every socket sees each kind of mistake."""

from benchmarks.returning import Ledger


def _ledger(*cursors: int) -> Ledger:
    ledger = Ledger()
    ledger.begin(5)
    for cursor in cursors:
        ledger.event(cursor)
    return ledger


def _seen(ledger: Ledger) -> tuple[int, set[int], int, int]:
    return ledger.events, ledger.missing, ledger.duplicated, ledger.out_of_order


def test_all_in_order() -> None:
    assert _seen(_ledger(6, 7, 8)) == (3, set(), 0, 0)


def test_a_missed_one() -> None:
    assert _seen(_ledger(6, 9)) == (2, {7, 8}, 0, 0)


def test_one_that_the_server_says_it_has_sent() -> None:
    ledger = _ledger(6)
    ledger.reach(7)
    assert _seen(ledger) == (1, {7}, 0, 0)


def test_one_that_a_new_connection_begins_behind() -> None:
    ledger = _ledger(6)
    ledger.begin(8)
    assert _seen(ledger) == (1, {7, 8}, 0, 0)


def test_a_doubled_one() -> None:
    assert _seen(_ledger(6, 7, 6)) == (3, set(), 1, 0)


def test_one_from_before_the_beginning_is_doubled() -> None:
    assert _seen(_ledger(5)) == (1, set(), 1, 0)


def test_two_in_the_wrong_order() -> None:
    assert _seen(_ledger(7, 6, 8)) == (3, set(), 0, 1)
