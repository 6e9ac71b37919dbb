"""The wiring of conversations."""

from dana.platform.service import Platform, Service
from dana.services.conversations.api import routers
from dana.services.conversations.consumers import consumers
from dana.services.conversations.jobs import jobs


def build(platform: Platform) -> Service:
    """Build the service."""
    return Service(
        name="conversations",
        routers=routers(platform.shards, platform.keys),
        consumers=consumers(platform.shards),
        jobs=jobs(platform.shards),
    )
