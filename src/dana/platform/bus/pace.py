"""How long things take on the bus, and how often they are tried."""

import random

LEASE_SECONDS = 12.0  # a killed worker's delivery is taken up again after this long
POLL_SECONDS = 0.5  # the safety net; a commit, here or in another process, needs no poll
NEW_SHARDS_SECONDS = 5.0  # a shard that was added, or was away at the start, is consumed after this long
MAX_ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 300.0
DRAIN_SECONDS = 8.0
LONGEST_OUTAGE_PAUSE_SECONDS = 5.0  # a database that is away is asked again no less often than this


def pause_seconds(attempt: int) -> float:
    """Pause before the next attempt: doubling, with half of it left to chance, capped."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter is no secret
