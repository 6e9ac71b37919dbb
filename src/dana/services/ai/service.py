"""The wiring of the assistant."""

from dana.contracts.queries import Knowledge
from dana.platform.service import Platform, Service
from dana.platform.signals import Signals
from dana.services.ai.actions.desk import Desk
from dana.services.ai.actions.fences import Fences
from dana.services.ai.adapters.models import ModelServers
from dana.services.ai.api import router
from dana.services.ai.consumers import consumers


def build(platform: Platform, knowledge: Knowledge) -> Service:
    """Build the service; it asks knowledge."""
    models = ModelServers(is_private_allowed=platform.settings.allow_private_providers)
    fences = Fences(platform.shards, Signals(platform.valkey, "fences"))
    desk = Desk(
        shards=platform.shards,
        secrets=platform.settings.secrets,
        knowledge=knowledge,
        ephemera=platform.ephemera,
        models=models,
        fences=fences,
    )
    return Service(
        name="ai",
        routers=[router(desk)],
        consumers=consumers(desk),
        start=fences.start,
        stop=models.close,
    )
