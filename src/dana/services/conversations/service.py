"""The wiring of conversations."""

from dana.platform.purging import Purger
from dana.platform.service import Platform, Service
from dana.services.conversations.actions.presenting import Presenting
from dana.services.conversations.api import routers
from dana.services.conversations.consumers import consumers
from dana.services.conversations.jobs import jobs


def build(platform: Platform) -> Service:
    """Build the service."""
    settings = platform.settings
    purger = Purger(settings.cdn_purge_url, settings.cdn_purge_header)
    presenting = Presenting.build(platform.shards, platform.caches, purger)
    return Service(
        name="conversations",
        routers=routers(platform.shards, platform.keys, presenting),
        consumers=consumers(platform.shards, presenting),
        jobs=jobs(platform.shards),
        stop=purger.stop,
    )
