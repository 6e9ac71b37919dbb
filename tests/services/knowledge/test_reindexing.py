"""Indexing everything anew: what was found stays found, and the new index replaces the old as a whole."""

import asyncio
from datetime import UTC, datetime

import msgspec

from dana.contracts.events import KnowledgeJobAdvanced
from dana.contracts.ids import DocumentId, EventId, OrgId, new_id
from dana.contracts.views import DocumentStatus, JobState, LongJobView
from dana.platform import longjobs
from dana.platform.bus import Envelope
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from dana.services.knowledge import store
from dana.services.knowledge.actions import documents
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.actions.reindexing import long_jobs, request_reindexing
from dana.services.knowledge.actions.searching import Search
from dana.services.knowledge.adapters.embedding.meaning import Meaning
from tests.conftest import SignedUp
from tests.services.knowledge.conftest import Learn, found

RETURNS = b"# Returns\n\nYou can send items back within 30 days of delivery.\n"
LONGER = (
    b"# Returns\n\nYou can send items back within 60 days.\n\n# Exchange\n\nAn exchange is free of charge.\n"
)
SHIPPING = b"# Shipping\n\nParcels to Norway take four working days and cost 19 euros.\n"


async def ask(shards: Shards, org: OrgId) -> LongJobView:
    async with shards.tx(org, SYSTEM) as tx:
        return (await request_reindexing(tx, None))[0]


async def newest_event(shards: Shards, org: OrgId) -> KnowledgeJobAdvanced:
    async with shards.read(org) as tx:
        payload = await tx.fetchval(
            "select payload::text from platform.event_log where org_id = $1"
            " and type = 'knowledge_job_advanced' order by cursor desc limit 1",
            org,
        )
    return msgspec.json.decode(payload, type=KnowledgeJobAdvanced)


async def do_chunk(shards: Shards, org: OrgId, meaning: Meaning | None) -> LongJobView:
    event = await newest_event(shards, org)
    envelope = Envelope(EventId(new_id()), org, 1, 1, datetime.now(UTC))
    await long_jobs(shards, Indexer(shards, meaning)).worker().run(envelope, event)
    async with shards.read(org) as tx:
        return (await longjobs.find(tx, event.job.id)).view


async def finish(shards: Shards, org: OrgId, meaning: Meaning | None) -> LongJobView:
    for _ in range(20):
        job = await do_chunk(shards, org, meaning)
        if job.state in longjobs.ENDED:
            return job
    raise AssertionError("the job does not end")


async def put_file(shards: Shards, org: OrgId, document_id: DocumentId, content: bytes) -> None:
    """Let a file say something else, as a better parser would."""
    async with shards.tx(org, SYSTEM) as tx:
        await tx.execute("update knowledge.files set content = $2 where id = $1", document_id, content)


async def test_each_document_is_found_by_its_old_index_until_it_has_a_new_one(
    shards: Shards, org: OrgId, learn: Learn, any_meaning: Meaning | None
) -> None:
    search = Search(shards, any_meaning)
    returns = await learn(org, "returns.md", RETURNS)
    shipping = await learn(org, "shipping.md", SHIPPING)
    await put_file(shards, org, returns.id, LONGER)
    assert (await search.search(org, "send items back within 30 days", 1))[0].document_id == returns.id
    job = await ask(shards, org)
    assert "30 days" in (await search.search(org, "send items back", 1))[0].passage

    job = await do_chunk(shards, org, any_meaning)
    assert (job.state, job.done, job.total) == (JobState.RUNNING, 1, 2)
    assert (await search.search(org, "Is an exchange free?", 1))[0].document_id == returns.id
    assert "60 days" in (await search.search(org, "send items back", 1))[0].passage
    assert (await search.search(org, "parcel to Norway", 1))[0].document_id == shipping.id

    job = await finish(shards, org, any_meaning)
    assert (job.state, job.done, job.problems) == (JobState.DONE, 2, 0)
    again = await found(shards, org, returns.id)
    assert (again.status, again.passages) == (DocumentStatus.SEARCHABLE, 2)
    async with shards.read(org) as tx:
        assert (await store.corpus(tx))[1] == 3


async def test_new_vectors_are_searched_by_whoever_has_the_old_ones_in_memory(
    shards: Shards, org: OrgId, meaning: Meaning
) -> None:
    search = Search(shards, meaning)
    async with shards.tx(org, SYSTEM) as tx:
        document = await documents.upload(tx, "returns.md", SHIPPING)
    await Indexer(shards, meaning).index(org, document.id)
    before = await search.quote(org, "I want my money back for these shoes", 1)
    await put_file(shards, org, document.id, RETURNS)
    await ask(shards, org)
    await finish(shards, org, meaning)
    after = await search.quote(org, "I want my money back for these shoes", 1)
    assert await Search(shards, meaning).quote(org, "I want my money back for these shoes", 1) == after
    assert after[0].sentence == "You can send items back within 30 days of delivery."
    assert before[0].confidence < after[0].confidence


async def test_what_cannot_be_read_any_more_is_named_and_stays_as_it_was(
    shards: Shards, org: OrgId, learn: Learn, any_meaning: Meaning | None
) -> None:
    returns = await learn(org, "returns.md", RETURNS)
    await learn(org, "shipping.md", SHIPPING)
    await put_file(shards, org, returns.id, b"")
    job = await ask(shards, org)
    done = await finish(shards, org, any_meaning)
    assert (done.state, done.done, done.problems) == (JobState.DONE, 2, 1)
    async with shards.read(org) as tx:
        [problem] = await longjobs.list_problems(tx, job.id, 0, 10)
    assert (problem.subject, problem.reason) == ("Returns", "The file is empty.")
    assert (await found(shards, org, returns.id)).status is DocumentStatus.SEARCHABLE
    hits = await Search(shards, any_meaning).search(org, "send items back", 1)
    assert hits[0].document_id == returns.id


async def test_failed_and_deleted_documents_are_left_alone(
    shards: Shards, org: OrgId, learn: Learn, any_meaning: Meaning | None
) -> None:
    failed = await learn(org, "empty.md", b"")
    gone = await learn(org, "returns.md", RETURNS)
    await learn(org, "shipping.md", SHIPPING)
    await ask(shards, org)
    async with shards.tx(org, SYSTEM) as tx:
        await documents.delete(tx, gone.id)
    done = await finish(shards, org, any_meaning)
    assert (done.done, done.problems) == (1, 0)
    assert (await found(shards, org, failed.id)).status is DocumentStatus.FAILED


async def test_a_chunk_that_comes_twice_replaces_once(shards: Shards, org: OrgId, learn: Learn) -> None:
    document = await learn(org, "returns.md", RETURNS)
    await ask(shards, org)
    event = await newest_event(shards, org)
    jobs = long_jobs(shards, Indexer(shards, None))
    envelope = Envelope(EventId(new_id()), org, 1, 1, datetime.now(UTC))
    await asyncio.gather(*(jobs.worker().run(envelope, event) for _ in range(3)))
    assert (await found(shards, org, document.id)).version == document.version + 1


async def test_the_neighbour_is_not_indexed(
    shards: Shards, org: OrgId, other_org: OrgId, learn: Learn, any_meaning: Meaning | None
) -> None:
    await learn(org, "returns.md", RETURNS)
    theirs = await learn(other_org, "shipping.md", SHIPPING)
    await ask(shards, org)
    assert (await finish(shards, org, any_meaning)).done == 1
    assert await found(shards, other_org, theirs.id) == theirs


async def test_it_is_asked_for_over_the_api_and_runs_by_itself(signed_up: SignedUp) -> None:
    http = signed_up.http
    file = {"file": ("returns.md", RETURNS, "text/markdown")}
    document = (await http.post("/api/v1/knowledge/documents", files=file)).json()
    path = f"/api/v1/knowledge/documents/{document['id']}"
    async with asyncio.timeout(60):
        while (document := (await http.get(path)).json())["status"] != "searchable":
            await asyncio.sleep(0.05)
        first = await http.post("/api/v1/knowledge/reindex", headers={"Idempotency-Key": "again"})
        repeat = await http.post("/api/v1/knowledge/reindex", headers={"Idempotency-Key": "again"})
        assert (first.status_code, repeat.status_code) == (202, 200)
        assert first.json()["id"] == repeat.json()["id"]
        while (await http.get(f"/api/v1/jobs/{first.json()['id']}")).json()["state"] != "done":
            await asyncio.sleep(0.05)
    assert (await http.get(path)).json()["version"] == document["version"] + 1
