"""Rounds: feeds with something to send take turns, and no turn of the event loop sends more than so much.

    turn of the loop: [ feed A: a portion | feed B: a portion | feed C … | A again … ]  then sockets are read

What is durable goes first, in all feeds; what is fleeting only when nothing durable waits.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

SENDS_PER_TURN = 1_000  # about 12 ms: for so long nobody's frame is read and no timer rings
PORTION = 250  # of one organization, before the next has its turn


class Sender(Protocol):
    """Something that has frames to send."""

    def send_some(self, most: int) -> int:
        """Send at most so many durable frames, and return how many."""
        ...

    def flash_some(self, most: int) -> int:
        """Send at most so many fleeting frames, and return how many."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether durable frames wait."""
        ...

    @property
    def is_flashing(self) -> bool:
        """Whether fleeting frames wait."""
        ...


class Rounds:
    """Whose turn it is."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        """When this turn began."""
        self._durable: deque[Sender] = deque()
        self._fleeting: deque[Sender] = deque()
        self._waiting: set[Sender] = set()
        self._flashing: set[Sender] = set()
        self._is_scheduled = False

    def join(self, sender: Sender) -> None:
        """Let a sender with durable frames have its turn soon."""
        if sender not in self._waiting:
            self._waiting.add(sender)
            self._durable.append(sender)
            self._schedule()

    def flash(self, sender: Sender) -> None:
        """Let a sender with fleeting frames have its turn when nothing durable waits."""
        if sender not in self._flashing:
            self._flashing.add(sender)
            self._fleeting.append(sender)
            self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self.now = time.monotonic()
        left = SENDS_PER_TURN
        while self._durable and left > 0:
            sender = self._durable.popleft()
            left -= _some(sender.send_some, left)
            if sender.is_busy:
                self._durable.append(sender)
            else:
                self._waiting.discard(sender)
        while self._fleeting and left > 0 and not self._durable:
            sender = self._fleeting.popleft()
            left -= _some(sender.flash_some, left)
            if sender.is_flashing:
                self._fleeting.append(sender)
            else:
                self._flashing.discard(sender)
        self._is_scheduled = False
        if self._durable or self._fleeting:
            self._schedule()


def _some(send: Callable[[int], int], left: int) -> int:
    try:
        return max(1, send(min(PORTION, left)))
    except Exception:  # a bug in the events of one organization, and the others' go on
        log.exception("sending_failed")
        return 1
