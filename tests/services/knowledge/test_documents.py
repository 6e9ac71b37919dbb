"""Documents on their way: searchable as a whole, gone at once, failed with a reason, never another's."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from dana.contracts.events import DocumentChanged
from dana.contracts.ids import DocumentId, OrgId, new_id
from dana.contracts.views import DocumentStatus
from dana.platform.errors import Conflict, Invalid, Missing
from dana.platform.identity import SYSTEM
from dana.platform.shards import Shards
from dana.services.knowledge import store
from dana.services.knowledge.actions import documents
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.actions.sample import add_sample
from dana.services.knowledge.actions.searching import Search
from dana.services.knowledge.adapters.embedding.meaning import Meaning
from dana.services.knowledge.models.documents import Kind
from tests.services.knowledge import files
from tests.services.knowledge.conftest import Learn, found

RETURNS = b"# Returns\n\nYou can send items back within 30 days of delivery.\n"
SHIPPING = b"# Shipping\n\nParcels to Norway take four working days and cost 19 euros.\n"


async def test_a_document_is_found_and_gone_after_deletion(
    shards: Shards, org: OrgId, other_org: OrgId, learn: Learn, any_meaning: Meaning | None
) -> None:
    search = Search(shards, any_meaning)
    returns = await learn(org, "returns.md", RETURNS)
    shipping = await learn(org, "shipping.md", SHIPPING)
    assert (returns.status, returns.progress, returns.passages) == (DocumentStatus.SEARCHABLE, 1.0, 1)

    hits = await search.search(org, "How long does a parcel to Norway take?", 5)
    assert hits[0].document_id == shipping.id
    assert hits[0].title == "Shipping"
    quotes = await search.quote(org, "How long does a parcel to Norway take?", 3)
    assert quotes[0].sentence == "Parcels to Norway take four working days and cost 19 euros."
    assert await search.search(other_org, "parcel to Norway", 5) == []

    async with shards.tx(org, SYSTEM) as tx:
        await documents.delete(tx, shipping.id)
    assert {hit.document_id for hit in await search.search(org, "parcel to Norway", 5)} <= {returns.id}
    assert all(quote.hit.document_id == returns.id for quote in await search.quote(org, "Norway", 5))


async def test_two_processes_and_a_restart_see_the_same(
    shards: Shards, org: OrgId, learn: Learn, any_meaning: Meaning | None, shards_of: Callable[[str], Shards]
) -> None:
    here, there = Search(shards, any_meaning), Search(shards, any_meaning)
    await learn(org, "returns.md", RETURNS)
    assert await here.search(org, "send items back", 5) == await there.search(org, "send items back", 5)
    second = await learn(org, "shipping.md", SHIPPING)
    for search in (here, there, Search(shards, any_meaning)):
        assert (await search.search(org, "parcel to Norway", 5))[0].document_id == second.id


async def test_meaning_finds_what_words_do_not(shards: Shards, org: OrgId, meaning: Meaning) -> None:
    for name, content in (("returns.md", RETURNS), ("shipping.md", SHIPPING)):
        async with shards.tx(org, SYSTEM) as tx:
            document = await documents.upload(tx, name, content)
        await Indexer(shards, meaning).index(org, document.id)
    question = "I want my money back for these shoes"
    assert (await Search(shards, meaning).search(org, question, 1))[0].title == "Returns"
    quotes = await Search(shards, meaning).quote(org, "What is the capital of Peru?", 1)
    assert quotes[0].confidence < 0.2


async def test_documents_indexed_without_the_model_are_found_with_it(
    shards: Shards, org: OrgId, meaning: Meaning
) -> None:
    async with shards.tx(org, SYSTEM) as tx:
        document = await documents.upload(tx, "returns.md", RETURNS)
    await Indexer(shards, None).index(org, document.id)
    hits = await Search(shards, meaning).search(org, "send items back within 30 days", 3)
    assert [hit.document_id for hit in hits] == [document.id]


@pytest.mark.parametrize(
    "question",
    [
        "",
        "   ",
        "?!",
        "\0",
        "the of and",
        "a" * 5000,
        "🙂",
        "'; drop table x; --",
        "\ud800".encode("utf-8", "replace").decode(),
    ],
)
async def test_any_question_may_be_asked(
    shards: Shards, org: OrgId, learn: Learn, any_meaning: Meaning | None, question: str
) -> None:
    await learn(org, "returns.md", RETURNS)
    search = Search(shards, any_meaning)
    assert len(await search.search(org, question, 5)) <= 1
    assert len(await search.quote(org, question, 5)) <= 1


async def test_other_languages_go_by_words(
    shards: Shards, org: OrgId, learn: Learn, any_meaning: Meaning | None
) -> None:
    del any_meaning
    german = await learn(org, "versand.txt", b"Pakete nach Norwegen dauern vier Werktage.")
    hindi = await learn(org, "wapsi.txt", "आप तीस दिनों के भीतर सामान वापस कर सकते हैं।".encode())
    search = Search(shards, None)
    assert (await search.search(org, "Wie lange dauert ein Paket nach Norwegen?", 1))[
        0
    ].document_id == german.id
    assert (await search.search(org, "सामान वापस कैसे करें?", 1))[0].document_id == hindi.id


async def test_a_bad_file_fails_with_its_reason_and_may_be_retried(
    shards: Shards, org: OrgId, learn: Learn
) -> None:
    document = await learn(org, "contract.pdf", files.encrypted_pdf())
    assert document.status is DocumentStatus.FAILED
    assert document.error
    assert "password" in document.error
    with pytest.raises(Conflict):
        async with shards.tx(org, SYSTEM) as tx:
            queued = await documents.retry(tx, document.id)
            assert (queued.status, queued.error) == (DocumentStatus.QUEUED, None)
            await documents.retry(tx, document.id)


async def test_every_step_is_announced_with_a_growing_version(
    shards: Shards, org: OrgId, any_meaning: Meaning | None
) -> None:
    content = b"\n\n".join(b"Paragraph %d. " % n + b"word " * 100 for n in range(20))
    document_id = DocumentId(new_id())
    async with shards.tx(org, SYSTEM) as tx:  # unannounced, so that no other worker takes it up, too
        await store.insert_document(
            tx, document_id, title="Long", filename="long.txt", kind=Kind.TEXT, content=content
        )
    await Indexer(shards, any_meaning).index(org, document_id)
    async with shards.read(org) as tx:
        rows = await tx.fetch("select payload from platform.event_log order by cursor")
    views = [msgspec.json.decode(row["payload"], type=DocumentChanged).document for row in rows]
    assert [view.version for view in views] == list(range(2, len(views) + 2))
    assert [view.progress for view in views] == sorted(view.progress for view in views)
    assert list(dict.fromkeys(view.status for view in views)) == [
        DocumentStatus.PARSING,
        DocumentStatus.INDEXING,
        DocumentStatus.SEARCHABLE,
    ]
    assert views[-1] == await found(shards, org, document_id), "what events say is what is fetched"


async def test_indexing_twice_at_once_indexes_once(shards: Shards, org: OrgId) -> None:
    async with shards.tx(org, SYSTEM) as tx:
        document = await documents.upload(tx, "returns.md", RETURNS)
    indexer = Indexer(shards, None)
    await asyncio.gather(*(indexer.index(org, document.id) for _ in range(3)))
    await indexer.index(org, document.id)
    assert len(await Search(shards, None).search(org, "send items back", 5)) == 1
    async with shards.read(org) as tx:
        counters = await tx.fetchrow("select documents, passages from knowledge.corpora")
    assert counters is not None
    assert dict(counters) == {"documents": 1, "passages": 1}


async def test_deleting_while_it_is_indexed_leaves_nothing(shards: Shards, org: OrgId) -> None:
    async with shards.tx(org, SYSTEM) as tx:
        document = await documents.upload(tx, "returns.md", RETURNS)
    indexing = asyncio.create_task(Indexer(shards, None).index(org, document.id))
    async with shards.tx(org, SYSTEM) as tx:
        await documents.delete(tx, document.id)
    await indexing
    async with shards.read(org) as tx:
        for table in ("documents", "files", "passages", "postings"):
            assert await tx.fetchval(f"select count(*) from knowledge.{table}") == 0  # noqa: S608
    with pytest.raises(Missing):
        await found(shards, org, document.id)


async def test_what_is_refused_at_once(shards: Shards, org: OrgId) -> None:
    for name, content in (("virus.exe", b"MZ"), ("noname", b"x"), ("big.txt", b"x" * (25 * 2**20 + 1))):
        with pytest.raises(Invalid):
            async with shards.tx(org, SYSTEM) as tx:
                await documents.upload(tx, name, content)


async def test_the_sample_is_added_once(shards: Shards, org: OrgId) -> None:
    async with shards.tx(org, SYSTEM) as tx:
        first = await add_sample(tx)
    async with shards.tx(org, SYSTEM) as tx:
        again = await add_sample(tx)
    assert 8 <= len(first) <= 12
    assert [document.id for document in again] == [document.id for document in first]


async def test_the_sample_answers_customers(shards: Shards, org: OrgId, meaning: Meaning) -> None:
    async with shards.tx(org, SYSTEM) as tx:
        sample = await add_sample(tx)
    for document in sample:
        await Indexer(shards, meaning).index(org, document.id)
    search = Search(shards, meaning)
    for question, words in (
        ("How many days do I have to return an item?", "30 days"),
        ("how much is express shipping?", "9.90"),
        ("do you ship to Norway", "Norway"),
        ("Can I wash my backpack in the washing machine?", "washing machine"),
        ("forgot my password", "Forgot password"),
        ("When are you open on Saturday?", "Saturday"),
    ):
        best = (await search.quote(org, question, 1))[0]
        assert words in best.sentence, question
        assert best.confidence >= 0.5, question
    for question in ("What is the capital of Peru?", "How do I configure nginx?", "Who won the world cup?"):
        assert (await search.quote(org, question, 1))[0].confidence < 0.5, question


async def test_every_action_sees_nothing_of_a_second_organization(
    shards: Shards, org: OrgId, other_org: OrgId, learn: Learn
) -> None:
    document = await learn(org, "returns.md", RETURNS)
    async with shards.tx(other_org, SYSTEM) as tx:
        assert await documents.list_documents(tx, None, 10) == []
        for action in (documents.find_document, documents.retry, documents.delete):
            with pytest.raises(Missing):
                await action(tx, document.id)
        with pytest.raises(Missing):
            await documents.list_passages(tx, document.id, -1, 10)
        with pytest.raises(Missing):
            await documents.find_document(tx, DocumentId(new_id()))
    assert (await found(shards, org, document.id)).status is DocumentStatus.SEARCHABLE
