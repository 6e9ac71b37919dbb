"""Indexing all documents anew, as a long job; the old index is searched until the new one is in place."""

from dataclasses import dataclass
from uuid import UUID

from dana.contracts.events import KnowledgeJobAdvanced
from dana.contracts.ids import DocumentId, OrgId
from dana.contracts.views import DocumentView, LongJobView
from dana.platform.database import Tx
from dana.platform.longjobs import Advance, JobProblem, Kind, LongJob, LongJobs, Request, request
from dana.platform.shards import Shards
from dana.services.knowledge import store
from dana.services.knowledge.actions.indexing import GoneError, Index, Indexer, replace
from dana.services.knowledge.models.documents import UnreadableError


@dataclass(frozen=True, slots=True)
class _Next:
    """The next document, and its new index; without one where it could not be read, or is gone."""

    document: DocumentView
    index: Index | None
    problem: str | None = None


async def request_reindexing(tx: Tx, key: str | None) -> tuple[LongJobView, bool]:
    """Ask for all searchable documents to be indexed anew."""
    return await request(tx, KnowledgeJobAdvanced, Request("reindex_knowledge", "All documents", {}, key))


def long_jobs(shards: Shards, indexer: Indexer) -> LongJobs:
    """Build what does the long jobs of this service, chunk by chunk."""

    async def prepare(org_id: OrgId, job: LongJob) -> _Next | None:
        async with shards.read(org_id) as tx:
            document = await store.searchable_after(tx, DocumentId(UUID(job.resume)) if job.resume else None)
        if document is None:
            return None
        try:
            return _Next(document, await indexer.read_again(org_id, document))
        except UnreadableError as error:
            return _Next(document, None, str(error))
        except GoneError:
            return _Next(document, None)

    return LongJobs(shards, KnowledgeJobAdvanced, [Kind("reindex_knowledge", _index_one, prepare)])


async def _index_one(tx: Tx, job: LongJob, following: _Next | None) -> Advance:
    total = None if job.resume else await store.count_documents(tx)
    if following is None:
        return Advance(more=0, total=total, is_finished=True)
    problems = []
    if following.index is not None:
        await replace(tx, following.document.id, following.index)
    elif following.problem:
        number = job.view.problems + 1
        problems = [JobProblem(number=number, reason=following.problem, subject=following.document.title)]
    return Advance(more=1, total=total, resume=str(following.document.id), problems=problems)
