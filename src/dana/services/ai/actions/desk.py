"""What answering needs at hand."""

from dataclasses import dataclass

from dana.contracts.queries import Knowledge
from dana.platform.ephemera import Ephemera
from dana.platform.secrets import Secrets
from dana.platform.shards import Shards
from dana.services.ai.actions.fences import Fences
from dana.services.ai.adapters.models import ModelServers


@dataclass(frozen=True, slots=True)
class Desk:
    """Built once, in service.py."""

    shards: Shards
    secrets: Secrets
    knowledge: Knowledge
    ephemera: Ephemera
    models: ModelServers
    fences: Fences
