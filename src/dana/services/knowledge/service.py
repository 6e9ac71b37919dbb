"""The wiring of knowledge."""

from dana.contracts.queries import Knowledge
from dana.platform.questions.answering import knowledge_router
from dana.platform.questions.tokens import ServiceTokens
from dana.platform.service import Platform, Service
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.actions.reindexing import long_jobs
from dana.services.knowledge.actions.searching import Search
from dana.services.knowledge.adapters.embedding.loading import load_meaning
from dana.services.knowledge.api import router
from dana.services.knowledge.consumers import consumers
from dana.services.knowledge.jobs import jobs


def build(platform: Platform, *, has_model: bool = True) -> tuple[Service, Knowledge]:
    """Build the service, and what answers the questions of others in this process."""
    meaning = load_meaning() if has_model else None
    search = Search(platform.shards, meaning)
    indexer = Indexer(platform.shards, meaning)
    long = long_jobs(platform.shards, indexer)

    async def stop() -> None:
        if meaning:
            meaning.close()

    service = Service(
        name="knowledge",
        routers=[
            router(platform.shards, search),
            knowledge_router(search, ServiceTokens(platform.settings.secrets)),
        ],
        consumers=list(consumers(indexer, long)),
        jobs=jobs(platform.shards, long),
        stop=stop,
    )
    return service, search
