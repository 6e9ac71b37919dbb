"""Deletion, export, import and re-index over each binding, by workers that are killed in the middle."""

import asyncio
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dana.contracts.ids import ConversationId, OrgId, new_id
from dana.contracts.views import JobState, LongJobView
from dana.platform import longjobs
from dana.platform.broker import Connection
from dana.platform.broker.topology import jobs_name
from dana.platform.identity import SYSTEM
from dana.platform.local.rabbitmq import RabbitMQ
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.conversations import actions
from dana.services.conversations.models import files
from dana.services.conversations.models.bulk import Choice
from dana.services.conversations.models.nouns import Filter
from dana.services.knowledge import store as knowledge
from dana.services.knowledge.actions import documents
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.actions.reindexing import request_reindexing
from tests.conformance.staff import Staff
from tests.services.conversations.desk import Desk, furnish

ShardsOf = Callable[[str], Shards]

CONVERSATIONS = 20
DOCUMENTS = 3
LINES_AT_ONCE = 5
DEATHS = 3
PATIENCE_SECONDS = 90
WHEN = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)


class Asked:
    """One long job of each kind."""

    def __init__(
        self, importing: Desk, exporting: Desk, deleting: Desk, learned: tuple[Shards, OrgId]
    ) -> None:
        self.importing, self.exporting, self.deleting = importing, exporting, deleting
        self.library, self.reader = learned
        self.doomed: set[ConversationId] = set()
        self.jobs: dict[str, tuple[Shards, OrgId, LongJobView]] = {}

    @classmethod
    async def of(cls, shards_of: ShardsOf) -> "Asked":
        shards, library = shards_of("conversations"), shards_of("knowledge")
        orgs = [OrgId(new_id()) for _ in range(4)]
        for org_id in orgs:
            await shards_of("auth").place(org_id)
        one, two, three = [await furnish(shards, org_id) for org_id in orgs[:3]]
        asked = cls(one, two, three, (library, orgs[3]))
        await asked._fill()
        return asked

    async def _fill(self) -> None:
        for number in range(CONVERSATIONS):
            for desk in (self.exporting, self.deleting):
                view = await desk.start(f"Carla {number}")
                await desk.write(view, f"hello {number}")
                if desk is self.deleting:
                    self.doomed.add(view.id)
        async with self.deleting.by_ana() as tx:
            await tx.execute(
                "update conversations.conversations set last_activity_at = $1", WHEN - timedelta(days=1)
            )
        for number in range(DOCUMENTS):
            async with self.library.tx(self.reader, SYSTEM) as tx:
                document = await documents.upload(tx, f"{number}.md", f"# Part {number}\n\nTrue.\n".encode())
            await Indexer(self.library, None).index(self.reader, document.id)

    async def ask(self) -> None:
        """Ask for everything at once; somebody must have subscribed."""
        cut, whole = actions.cut_file(_file()), Choice()
        async with self.importing.by_ana() as tx:
            job, _ = await actions.request_import(tx, self.importing.inbox.id, "old.jsonl", cut, None)
        self.jobs["import"] = (self.importing.shards, self.importing.org_id, job)
        async with self.exporting.by_ana() as tx:
            job, _ = await actions.request_export(tx, whole, None)
        self.jobs["export"] = (self.exporting.shards, self.exporting.org_id, job)
        async with self.deleting.by_ana() as tx:
            job, _ = await actions.request_deletion(tx, Choice(quiet_since=WHEN), None)
        self.jobs["deletion"] = (self.deleting.shards, self.deleting.org_id, job)
        async with self.library.tx(self.reader, SYSTEM) as tx:
            job, _ = await request_reindexing(tx, None)
        self.jobs["re-index"] = (self.library, self.reader, job)

    async def done(self) -> dict[str, tuple[int, int]]:
        """Wait until all are done, and return what each says of itself: how much, and how many problems."""
        said = {}
        async with asyncio.timeout(PATIENCE_SECONDS):
            for name, (shards, org_id, job) in self.jobs.items():
                while True:
                    async with shards.read(org_id) as tx:
                        found = (await longjobs.find(tx, job.id)).view
                    if found.state in longjobs.ENDED:
                        break
                    await asyncio.sleep(0.05)
                assert found.state is JobState.DONE, (name, found.error)
                said[name] = (found.done, found.problems)
        return said


def _file() -> bytes:
    lines = []
    for number in range(CONVERSATIONS):
        lines.append(
            {
                "type": "conversation",
                "external_id": f"c{number}",
                "contact": {"name": f"Bo {number}"},
                "created_at": WHEN.isoformat(),
            }
        )
        lines.append(
            {
                "type": "message",
                "external_id": f"m{number}",
                "conversation_external_id": f"c{number}",
                "author": "customer",
                "author_name": f"Bo {number}",
                "text": f"bye {number}",
                "created_at": WHEN.isoformat(),
            }
        )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


async def _texts(desk: Desk) -> list[str]:
    async with desk.read() as tx:
        views = await actions.list_conversations(tx, Filter(), None, 100)
    return sorted([message.text for view in views for message in await desk.messages(view.id)])


async def _deleted(desk: Desk) -> list[ConversationId]:
    """Name what events say is gone, as often as they say it."""
    async with desk.read() as tx:
        rows = await tx.fetch(
            "select json_array_elements_text(payload->'conversation_ids') as id from platform.event_log"
            " where org_id = $1 and type = 'conversations_deleted'",
            desk.org_id,
        )
    return [row["id"] for row in rows]


async def _consumers(settings: Settings) -> list[int]:
    """Count who takes tokens of long jobs from the broker."""
    connection = Connection(settings.rabbitmq_url, "test")
    await connection.start(30)
    try:
        channel = await connection.channel()
        queues = [
            await channel.get_queue(jobs_name(group, "bulk")) for group in ("conversations", "knowledge")
        ]
        return [queue.declaration_result.consumer_count or 0 for queue in queues]
    finally:
        await connection.stop()


async def _exported(asked: Asked) -> list[str]:
    shards, org_id, job = asked.jobs["export"]
    packed = b"".join([part async for part in actions.file_content(shards, org_id, job.id)])
    lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    return [line["text"] for line in lines if line["type"] == "message"]


async def test_each_chunk_counts_once_whoever_is_killed_before_it_commits(
    settings: Settings,
    shards_of: ShardsOf,
    staff: Staff,
    broker: RabbitMQ | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "LINES_AT_ONCE", LINES_AT_ONCE)
    asked = await Asked.of(shards_of)
    *victims, survivor = await asyncio.gather(*(staff.hire_clerk() for _ in range(DEATHS + 1)))
    await asked.ask()
    for victim in victims:
        await survivor.says("begun")
        await victim.killed_at_work()
    if broker:
        assert await _consumers(settings) == [1, 1], "the broker wakes whoever is left"
    assert await asked.done() == {
        "import": (2 * CONVERSATIONS, 0),
        "export": (CONVERSATIONS, 0),
        "deletion": (CONVERSATIONS, 0),
        "re-index": (DOCUMENTS, 0),
    }
    assert await _texts(asked.importing) == sorted(f"bye {n}" for n in range(CONVERSATIONS))
    assert await _exported(asked) == [f"hello {n}" for n in range(CONVERSATIONS)]
    assert await _texts(asked.deleting) == []
    gone = await _deleted(asked.deleting)
    assert sorted(gone) == sorted(str(one) for one in asked.doomed)
    async with asked.library.read(asked.reader) as tx:
        assert (await knowledge.corpus(tx))[1] == DOCUMENTS
