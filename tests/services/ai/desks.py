"""A desk to answer at, with a screen that keeps what was shown."""

from typing import Any
from uuid import UUID

from dana.contracts.ids import ConversationId, OrgId
from dana.platform.ephemera import Ephemera
from dana.platform.fanout import Fanout
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.signals import Signals
from dana.platform.valkey import Valkey
from dana.services.ai.actions.desk import Desk
from dana.services.ai.actions.fences import Fences
from dana.services.ai.adapters.models import ModelServers
from tests.services.ai.shelf import Shelf


class Screen(Ephemera):
    """Keeps what would be shown, in order."""

    def __init__(self, fanout: Fanout) -> None:
        super().__init__(fanout)
        self.shown: list[dict[str, Any]] = []

    def publish(
        self,
        org_id: OrgId,
        conversation_id: ConversationId | None,
        payload: dict[str, Any],
        *,
        origin: UUID | None = None,
    ) -> None:
        """Keep it."""
        self.shown.append(payload)

    @property
    def drafts(self) -> list[str]:
        """The texts of the drafts."""
        return [payload["text"] for payload in self.shown if payload["name"] == "draft"]

    @property
    def typing(self) -> list[bool]:
        """Whether it was typing, as it changed."""
        return [payload["is_typing"] for payload in self.shown if payload["name"] == "typing"]


def make_desk(settings: Settings, shards: Shards, models: ModelServers) -> Desk:
    """Put a desk together from real parts, but for the knowledge; Valkey is away."""
    valkey = Valkey(settings.redis_url)
    return Desk(
        shards=shards,
        secrets=settings.secrets,
        knowledge=Shelf(),
        ephemera=Screen(Fanout(valkey)),
        models=models,
        fences=Fences(shards, Signals(valkey, "fences")),
    )
