"""Time in: take up moves that nobody drives, and look after what they cost."""

from functools import partial

from dana.platform.jobs import Periodic
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.resuming import Movers
from dana.services.placement.actions.sampling import sample_loads
from dana.services.placement.actions.watching import watch

TAKE_UP_SECONDS = 3.0  # an organization whose move was cut in the middle of its switch waits for so long
WATCH_SECONDS = 15.0
SAMPLE_SECONDS = 300.0  # rates are averaged over an hour


def jobs(desk: Desk, movers: Movers) -> list[Periodic]:
    """Make the periodic jobs of placement."""
    return [
        Periodic("take_up_moves", every_seconds=TAKE_UP_SECONDS, run=movers.take_up),
        Periodic("watch_moves", every_seconds=WATCH_SECONDS, run=partial(watch, desk)),
        Periodic("sample_loads", every_seconds=SAMPLE_SECONDS, run=partial(sample_loads, desk)),
    ]
