"""Events in: a queued document is parsed and indexed, and a long job goes on."""

from dana.contracts.events import DocumentQueued
from dana.platform.bus import Envelope, Lane, Worker
from dana.platform.longjobs import LongJobs
from dana.services.knowledge.actions.indexing import WENT_WRONG, Indexer

TRIES = 3  # after so many crashes or bugs the document fails visibly instead of being tried forever


def consumers(indexer: Indexer, long_jobs: LongJobs) -> list[Worker]:
    """Build the consumers."""

    async def index(envelope: Envelope, event: DocumentQueued) -> None:
        if envelope.attempt > TRIES:
            await indexer.fail(envelope.org_id, event.document.id, WENT_WRONG)
            return
        await indexer.index(envelope.org_id, event.document.id)

    return [Worker(event=DocumentQueued, run=index, lane=Lane.BULK), long_jobs.worker()]
