"""The bus: brings each committed event to whoever consumes it, at least once, in order per key.

What is due stands in `platform.deliveries`, written by the same transaction as the event. The binding only
tells a lane that something may be due; what it is, and whose turn it is, PostgreSQL decides in `claim`.

    emit ──commit──► deliveries ──claim (lease)──► Consumer: effects and `finish` in one transaction
              │           ▲                   └──► Worker:   long work outside, lease renewed, then `finish`
              │           └── postpone (backoff, then dead) ── failed
              └──► binding ──wake (token)──► lane; a poll is the net, and a timer for what is due later

How a binding works with the lanes (`binding.py` has the interface, and the PostgreSQL binding as an example):
one binding per process gets each commit of it (`committed`), and each lane when it opens (`open`). Whenever
something may be due it calls `lane.wake()`, from the event loop; no wake is needed for correctness. If its
broker wants to hear what became of its message, the binding passes a token, `lane.wake(release)`: the lane
calls it once, when the delivery claimed for it has finished (or failed), or at once when nothing was due. A
lane holds at most as many tokens as it has slots, so a prefetch of `lane.slots` is right. What is left when a
process dies comes back with the broker's own redelivery, the lease, or the poll (`binding.poll_seconds`).
"""

from dana.platform.bus import pace
from dana.platform.bus.binding import Binding, Listener, PostgresBinding, Release
from dana.platform.bus.bus import Bus
from dana.platform.bus.nouns import MOST_OF_ONE, SLOTS, Consumer, Delivery, Envelope, Lane, Worker
from dana.platform.bus.pace import pause_seconds

__all__ = [
    "MOST_OF_ONE",
    "SLOTS",
    "Binding",
    "Bus",
    "Consumer",
    "Delivery",
    "Envelope",
    "Lane",
    "Listener",
    "PostgresBinding",
    "Release",
    "Worker",
    "pace",
    "pause_seconds",
]
