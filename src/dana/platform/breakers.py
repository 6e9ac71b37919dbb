"""A breaker for each server: one that failed again and again is left alone for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

FAILURES_TO_OPEN = 5
PAUSE_SECONDS = 20.0
SERVERS = 10_000  # remembered; the longest unused is forgotten first


@dataclass(slots=True)
class _State:
    failures: int = 0
    closed_until: float = 0.0


class Breakers:
    """Counts failures in a row, in this process."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._states: OrderedDict[Hashable, _State] = OrderedDict()

    def wait_seconds(self, server: Hashable) -> float:
        """Return how long the server is to be left alone; 0 if it may be asked.

        After the pause one request may try; it decides, while the others go on waiting.
        """
        state = self._states.get(server)
        if state is None or state.failures < FAILURES_TO_OPEN:
            return 0.0
        remaining = state.closed_until - self._clock()
        if remaining <= 0:
            state.closed_until = self._clock() + self._pause_seconds
            return 0.0
        return remaining

    def succeeded(self, server: Hashable) -> None:
        """Forget the failures of a server."""
        self._states.pop(server, None)

    def failed(self, server: Hashable) -> None:
        """Count a failure."""
        state = self._states.setdefault(server, _State())
        self._states.move_to_end(server)
        state.failures += 1
        if state.failures >= FAILURES_TO_OPEN:
            state.closed_until = self._clock() + self._pause_seconds
        while len(self._states) > SERVERS:
            self._states.popitem(last=False)
