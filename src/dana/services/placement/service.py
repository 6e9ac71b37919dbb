"""The wiring of placement."""

from dana.platform.service import Platform, Service
from dana.services.placement.actions.desk import Desk
from dana.services.placement.actions.resuming import Movers
from dana.services.placement.api import routers
from dana.services.placement.jobs import jobs


def build(platform: Platform) -> Service:
    """Build the service."""
    desk = Desk(settings=platform.settings, shards=platform.shards)
    movers = Movers(desk)
    return Service(
        name="placement",
        routers=routers(desk, platform.keys),
        jobs=jobs(desk, movers),
        stop=movers.stop,
    )
