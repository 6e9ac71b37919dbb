"""Rounds: feeds with something to send take turns, and no turn of the event loop sends more than so much.

    turn of the loop: [ feed A: a portion | feed B: a portion | feed C … | A again … ]  then sockets are read

What is durable goes first, in all feeds; what is fleeting only when nothing durable waits.
"""

import asyncio
from collections import deque
from typing import Protocol

SENDS_PER_TURN = 1_000  # a few milliseconds: for so long nobody's frame is read and no timer rings
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
        self._durable: deque[Sender] = deque()
        self._fleeting: deque[Sender] = deque()
        self._waiting: tuple[set[Sender], set[Sender]] = (set(), set())
        self._is_scheduled = False

    def join(self, sender: Sender) -> None:
        """Let a sender have its turn soon, if it has anything to send."""
        durable, fleeting = self._waiting
        if sender.is_busy and sender not in durable:
            durable.add(sender)
            self._durable.append(sender)
        if sender.is_flashing and sender not in fleeting:
            fleeting.add(sender)
            self._fleeting.append(sender)
        self._schedule()

    def _schedule(self) -> None:
        if (self._durable or self._fleeting) and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        durable, fleeting = self._waiting
        left = SENDS_PER_TURN
        while self._durable and left > 0:
            sender = self._durable.popleft()
            durable.discard(sender)
            left -= max(1, sender.send_some(min(PORTION, left)))
            self.join(sender)
        while self._fleeting and left > 0 and not self._durable:
            sender = self._fleeting.popleft()
            fleeting.discard(sender)
            left -= max(1, sender.flash_some(min(PORTION, left)))
            self.join(sender)
        self._schedule()
