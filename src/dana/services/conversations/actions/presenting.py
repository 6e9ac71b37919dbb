"""How an inbox presents itself to customers: read by every page that carries the widget, changed rarely.

So it is cached: in the processes, in Valkey, and in a proxy where there is one. A change is told twice: right
after its commit, and by its event, which comes even if this process dies in between.
"""

from dataclasses import dataclass

import msgspec
import structlog

from dana.contracts.events import InboxChanged, InboxCreated, event_type
from dana.contracts.ids import InboxId, OrgId
from dana.platform.bus import Envelope, Lane, Worker
from dana.platform.cache import Cache, Caches
from dana.platform.errors import Unavailable
from dana.platform.outbox import Outbox
from dana.platform.purging import Purger
from dana.platform.shards import Shards
from dana.services.conversations import store
from dana.services.conversations.models.nouns import WidgetSettings

ATTEMPTS_TO_TELL_VALKEY = 4  # a Valkey that is away for longer comes back without what it had

_TYPES = frozenset({event_type(InboxCreated), event_type(InboxChanged)})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Presenting:
    """Reads through the caches, and keeps them right."""

    shards: Shards
    cache: Cache[WidgetSettings]
    purger: Purger

    @classmethod
    def build(cls, shards: Shards, caches: Caches, purger: Purger) -> "Presenting":
        """Put it together, and hear of commits."""
        presenting = cls(shards, caches.of("widget", WidgetSettings), purger)
        shards.on_commit.append(presenting.committed)
        return presenting

    async def settings(self, org_id: OrgId, inbox_id: InboxId) -> WidgetSettings:
        """Read how an inbox presents itself; raises Missing.

        A proxy keeps the answer for long, so it must not get one from a process that is yet to be told.
        """

        async def load() -> WidgetSettings:
            async with self.shards.read(org_id) as tx:
                inbox = await store.inbox(tx, inbox_id)
            return WidgetSettings(
                name=inbox.name, greeting=inbox.greeting, is_assistant_enabled=inbox.is_assistant_enabled
            )

        return await self.cache.get(org_id, inbox_id.hex, load, is_exact=self.purger.is_there)

    def surrogate_keys(self, inbox_id: InboxId) -> tuple[str, ...]:
        """Name the answer to the proxy, if there is one."""
        return (f"inbox-{inbox_id.hex}",) if self.purger.is_there else ()

    def committed(self, org_id: OrgId, first_cursor: int, outbox: Outbox) -> None:
        """Tell the caches right after the commit."""
        for event in outbox.events:
            if event.type in _TYPES:
                changed = msgspec.json.decode(event.payload, type=InboxChanged)
                self.cache.forget_soon(org_id, changed.inbox.id.hex)

    async def tell(self, envelope: Envelope, event: InboxCreated | InboxChanged) -> None:
        """Tell the caches, then the proxy, which asks for the new settings from then on."""
        try:
            await self.cache.forget(envelope.org_id, event.inbox.id.hex)
        except Unavailable as error:
            if envelope.attempt < ATTEMPTS_TO_TELL_VALKEY:
                raise
            log.warning("cache_not_told", organization=str(envelope.org_id), reason=error.detail)
        await self.purger.purge(*self.surrogate_keys(event.inbox.id))

    def workers(self) -> list[Worker]:
        """Make what the events set off."""
        return [Worker(event=event, run=self.tell, lane=Lane.LIVE) for event in (InboxCreated, InboxChanged)]
