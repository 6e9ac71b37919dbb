"""Pauses between attempts: growing, capped, and never the same for all."""

from dana.platform.bus import pace, pause_seconds


def test_a_pause_doubles_with_each_attempt_up_to_the_cap() -> None:
    for attempt in range(1, 40):
        longest = min(pace.LONGEST_PAUSE_SECONDS, pace.FIRST_PAUSE_SECONDS * 2**attempt)
        pauses = [pause_seconds(attempt) for _ in range(200)]
        assert longest / 2 <= min(pauses)
        assert max(pauses) <= longest
        assert max(pauses) - min(pauses) > longest / 4, "all would come back at the same moment"


def test_all_attempts_together_take_minutes_not_days() -> None:
    assert 60 < sum(pause_seconds(attempt) for attempt in range(1, pace.MAX_ATTEMPTS)) < 600
