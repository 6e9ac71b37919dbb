"""Knowledge with its database, with and without the embedding model."""

from collections.abc import Awaitable, Callable, Iterator

import pytest

from dana.contracts.ids import DocumentId, OrgId
from dana.contracts.views import DocumentView
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from dana.services.knowledge.actions import documents
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.adapters.embedding.install import is_installed
from dana.services.knowledge.adapters.embedding.loading import load_meaning
from dana.services.knowledge.adapters.embedding.meaning import Meaning

Learn = Callable[[OrgId, str, bytes], Awaitable[DocumentView]]


@pytest.fixture
def shards(shards_of: Callable[[str], Shards]) -> Shards:
    """The shards as knowledge sees them."""
    return shards_of("knowledge")


@pytest.fixture(scope="session")
def meaning() -> Iterator[Meaning]:
    """The embedding model."""
    if not is_installed():
        pytest.skip("the embedding model can't be had here; search goes by words only")
    loaded = load_meaning()
    assert loaded
    yield loaded
    loaded.close()


@pytest.fixture(params=["words", "words and meaning"])
def any_meaning(request: pytest.FixtureRequest) -> Meaning | None:
    """Once without the model, once with it."""
    return None if request.param == "words" else request.getfixturevalue("meaning")


@pytest.fixture
def learn(shards: Shards, any_meaning: Meaning | None) -> Learn:
    """Upload a file and index it, as the consumer would."""

    async def learn(org_id: OrgId, filename: str, content: bytes) -> DocumentView:
        async with shards.tx(org_id, SYSTEM) as tx:
            document = await documents.upload(tx, filename, content)
        await Indexer(shards, any_meaning).index(org_id, document.id)
        return await found(shards, org_id, document.id)

    return learn


async def found(shards: Shards, org_id: OrgId, document_id: DocumentId) -> DocumentView:
    """Read a document."""
    async with shards.read(org_id) as tx:
        return await documents.find_document(tx, document_id)
