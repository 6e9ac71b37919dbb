"""Knowledge asked in the same process, and in another one: who asks can't tell the difference."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dana.contracts.ids import OrgId, new_id
from dana.contracts.queries import Knowledge
from dana.platform.breakers import FAILURES_TO_OPEN, Breakers
from dana.platform.database import Tx
from dana.platform.errors import Missing, Unavailable
from dana.platform.gateway import envoy
from dana.platform.gateway.model import Gateway, Upstream
from dana.platform.identity import SYSTEM
from dana.platform.local.fleet import services_program
from dana.platform.local.programs import Program, free_port, spawn, stop, wait_until_ready
from dana.platform.network import NetworkInTransactionError
from dana.platform.questions.asking import Asking, RemoteKnowledge
from dana.platform.questions.directory import Directory
from dana.platform.questions.tokens import ServiceTokens
from dana.platform.secrets import Secrets
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.knowledge.actions import documents
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.actions.searching import Search
from dana.services.knowledge.adapters.embedding.loading import load_meaning

PARCELS = b"# Parcels\n\nParcels leave our warehouse in Ghent every day. Returns are free within 30 days.\n"
QUESTION = "Where do parcels leave from?"


@dataclass
class Elsewhere:
    """A process of its own that runs knowledge, as `dana run knowledge` does."""

    settings: Settings
    folder: Path
    program: Program | None = None
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self) -> None:
        self.port = free_port()
        environment = {
            "DANA_DATA": str(self.folder),
            "DANA_SECRETS": str(self.settings.data_dir / "secrets"),
            "DANA_DATABASE_URL": self.settings.database_url,
            "DANA_REDIS_URL": self.settings.redis_url,
            "DANA_HTTP_PORT": str(self.port),
        }
        self.program = services_program("knowledge", (Upstream.KNOWLEDGE,), self.port, environment)
        log = self.folder / "knowledge.log"
        with log.open("ab") as output:
            self.process = spawn(self.program, output)
        self.announce()
        wait_until_ready(self.program, self.process, log)

    def announce(self) -> None:
        """Say where it is, in the gateway's file, as the supervisor does."""
        gateway = Gateway(0, self.folder, (), ())
        envoy.write_endpoints(gateway, Upstream.KNOWLEDGE, [("127.0.0.1", self.port)])

    def kill(self) -> None:
        assert self.process
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        assert self.program
        assert self.process
        stop(self.program, self.process)

    def asking(self, *, deadline_seconds: float = 10.0, breakers: Breakers | None = None) -> Asking:
        tokens = ServiceTokens(self.settings.secrets)
        directory = Directory(self.folder, {})
        return Asking("ai", directory, tokens, deadline_seconds=deadline_seconds, breakers=breakers)


@pytest.fixture(scope="module")
def elsewhere(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    running = Elsewhere(settings, tmp_path_factory.mktemp("elsewhere"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(params=["same process", "another process"])
async def knowledge(
    request: pytest.FixtureRequest, shards_of: Callable[[str], Shards]
) -> AsyncIterator[Knowledge]:
    if request.param == "same process":
        meaning = load_meaning()
        yield Search(shards_of("knowledge"), meaning)
        if meaning:
            meaning.close()
        return
    asking = request.getfixturevalue("elsewhere").asking()
    yield RemoteKnowledge(asking)
    await asking.close()


@pytest.fixture
async def learnt(shards_of: Callable[[str], Shards], org: OrgId) -> OrgId:
    """An organization that knows of parcels."""
    shards = shards_of("knowledge")
    async with shards.tx(org, SYSTEM) as tx:
        document = await documents.upload(tx, "parcels.md", PARCELS)
    await Indexer(shards, None).index(org, document.id)
    return org


async def test_it_finds_and_quotes(knowledge: Knowledge, learnt: OrgId) -> None:
    (hit,) = await knowledge.search(learnt, QUESTION, 5)
    assert hit.title == "Parcels"
    assert "Ghent" in hit.passage
    quote, *_ = await knowledge.quote(learnt, QUESTION, 3)
    assert quote.sentence == "Parcels leave our warehouse in Ghent every day."
    assert quote.hit == hit
    assert 0 < quote.confidence <= 1


async def test_it_finds_nothing_of_another_organization(
    knowledge: Knowledge, learnt: OrgId, other_org: OrgId
) -> None:
    assert await knowledge.search(other_org, QUESTION, 5) == []
    assert await knowledge.quote(other_org, QUESTION, 5) == []


async def test_any_text_may_be_asked(knowledge: Knowledge, learnt: OrgId) -> None:
    for question in ("", "?", "Où ?", "' or 1=1 --", "\N{PILE OF POO}" * 500, "x" * 20_000):
        assert isinstance(await knowledge.search(learnt, question, 5), list)


async def test_a_problem_over_there_is_the_same_problem_here(knowledge: Knowledge) -> None:
    with pytest.raises(Missing):
        await knowledge.search(OrgId(new_id()), QUESTION, 5)


async def test_nobody_asks_while_a_transaction_is_open(
    elsewhere: Elsewhere, shards_of: Callable[[str], Shards], learnt: OrgId
) -> None:
    remote = RemoteKnowledge(elsewhere.asking())

    async def ask(tx: Tx) -> None:
        await remote.search(tx.org_id, QUESTION, 5)

    with pytest.raises(NetworkInTransactionError):
        async with shards_of("ai").tx(learnt, SYSTEM) as tx:
            await ask(tx)


async def test_a_killed_process_is_waited_for(elsewhere: Elsewhere, learnt: OrgId) -> None:
    asking = elsewhere.asking(deadline_seconds=60)
    remote = RemoteKnowledge(asking)
    assert await remote.search(learnt, QUESTION, 5)
    elsewhere.kill()
    waiting = asyncio.create_task(remote.search(learnt, QUESTION, 5))
    await asyncio.to_thread(elsewhere.start)  # on another port
    assert await waiting
    await asking.close()


async def test_a_silent_process_ends_at_the_deadline_and_then_opens_the_breaker(
    elsewhere: Elsewhere, learnt: OrgId
) -> None:
    asking = elsewhere.asking(deadline_seconds=0.2, breakers=Breakers(pause_seconds=3600))
    remote = RemoteKnowledge(asking)
    assert elsewhere.process
    os.kill(elsewhere.process.pid, signal.SIGSTOP)
    try:
        for _ in range(FAILURES_TO_OPEN):
            with pytest.raises(Unavailable, match="doesn't answer in time"):
                await remote.search(learnt, QUESTION, 5)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="failed repeatedly"):
            await remote.search(learnt, QUESTION, 5)
        assert time.monotonic() - began < 0.2  # nobody was asked
    finally:
        os.kill(elsewhere.process.pid, signal.SIGCONT)
    await asking.close()


async def test_strangers_are_not_answered(elsewhere: Elsewhere, learnt: OrgId, tmp_path: Path) -> None:
    ours = ServiceTokens(elsewhere.settings.secrets)
    strange = Secrets.load(tmp_path / "secrets")
    body = {"org_id": str(learnt), "question": QUESTION, "limit": 5}
    refused: list[tuple[int, dict[str, str]]] = [
        (401, {}),
        (401, {"authorization": "Bearer nonsense"}),
        (401, {"authorization": f"Bearer {ServiceTokens(strange).make('ai', 'knowledge')}"}),
        (401, {"authorization": f"Bearer {ours.make('ai', 'auth')}"}),
        (404, {"authorization": f"Bearer {ours.make('ai', 'knowledge')}", "x-client-address": "10.0.0.1"}),
    ]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{elsewhere.port}") as http:
        for status, headers in refused:
            answer = await http.post("/internal/v1/knowledge/search", json=body, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.json()["type"].startswith("urn:dana:problem:")
        allowed = {"authorization": f"Bearer {ours.make('ai', 'knowledge')}"}
        answer = await http.post("/internal/v1/knowledge/search", json=body, headers=allowed)
        assert answer.status_code == 200
        answer = await http.post("/internal/v1/knowledge/search", json={"org_id": 5}, headers=allowed)
        assert answer.status_code == 422
