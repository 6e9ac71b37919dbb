"""The wiring of knowledge."""

from dana.contracts.queries import Knowledge
from dana.platform.service import Platform, Service
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.actions.searching import Search
from dana.services.knowledge.adapters.embedding.loading import load_meaning
from dana.services.knowledge.api import router
from dana.services.knowledge.consumers import consumers


def build(platform: Platform) -> tuple[Service, Knowledge]:
    """Build the service, and what answers the questions of others."""
    meaning = load_meaning()
    search = Search(platform.shards, meaning)

    async def stop() -> None:
        if meaning:
            meaning.close()

    service = Service(
        name="knowledge",
        routers=[router(platform.shards, search)],
        consumers=list(consumers(Indexer(platform.shards, meaning))),
        stop=stop,
    )
    return service, search
