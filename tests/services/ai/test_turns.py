"""The assistant and conversations at work together, by event, as in production."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import Role
from dana.platform.bus import PostgresBinding
from dana.platform.ephemera import Ephemera
from dana.platform.fanout import Fanout
from dana.platform.http import make_app
from dana.platform.identity import Keys, Member
from dana.platform.migrations import migrate
from dana.platform.service import Platform, Running
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey
from dana.services.ai.service import build as build_ai
from dana.services.conversations.service import build as build_conversations
from tests.conftest import started_servers
from tests.services.ai.shelf import PASSAGES, Shelf

COVERED = "Within how many days can I return an item?"
UNCOVERED = "Who won the football championship in Brazil?"
PATIENCE_SECONDS = 15.0

pytestmark = pytest.mark.xdist_group("turns")  # they share servers


@dataclass
class Customer:
    """Somebody at the widget."""

    http: httpx.AsyncClient
    path: str
    headers: dict[str, str]

    async def write(self, text: str) -> None:
        sent = await self.http.post(self.path, json={"text": text}, headers=self.headers)
        assert sent.status_code == 201, sent.text

    async def messages(self) -> list[dict[str, Any]]:
        page = (await self.http.get(self.path, headers=self.headers)).json()
        return list(page["items"])

    async def answer(self) -> dict[str, Any]:
        """Wait for the next message of the assistant."""
        before = len(await self.answers())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found := await self.answers()) == before:
                await asyncio.sleep(0.05)
        return found[-1]

    async def answers(self) -> list[dict[str, Any]]:
        found = [message for message in await self.messages() if message["author"] == "assistant"]
        return [message for message in found if message["action"]]


@dataclass
class Shop:
    """An organization with an inbox."""

    http: httpx.AsyncClient
    headers: dict[str, str]
    public_key: str

    async def customer(self) -> Customer:
        started = await self.http.post(f"/api/v1/widget/{self.public_key}/conversations", json={})
        assert started.status_code == 201, started.text
        body = started.json()
        path = f"/api/v1/widget/conversations/{body['conversation_id']}/messages"
        return Customer(self.http, path, {"Authorization": f"Bearer {body['token']}"})

    async def act(self, customer: Customer, verb: str, **body: Any) -> None:
        path = customer.path.replace("/widget", "").removesuffix("messages") + verb
        acted = await self.http.post(path, json=body or None, headers=self.headers)
        assert acted.is_success, acted.text

    async def use_model(self, base_url: str, model: str) -> None:
        provider = {"kind": "openai", "base_url": base_url, "model": model}
        changed = await self.http.put("/api/v1/assistant", json={"provider": provider}, headers=self.headers)
        assert changed.is_success, changed.text


@pytest.fixture(scope="module")
def servers() -> Iterator[Settings]:
    """Servers of their own: elsewhere the whole of Dana may run, whose assistant would answer, too."""
    with started_servers() as running:
        yield running


@pytest.fixture(scope="module")
async def settings(servers: Settings) -> Settings:
    """An installation with all migrations."""
    await migrate(servers)
    return servers


@pytest.fixture
async def http(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """Both services; the assistant as often as the test's parameter says."""
    valkey = Valkey(settings.redis_url)
    await valkey.start()
    fanout, keys, binding = Fanout(valkey), Keys(settings.secrets), PostgresBinding()
    platforms = [
        Platform(settings, Shards(settings, name), keys, valkey, fanout, Ephemera(fanout), binding)
        for name in ("conversations", *["ai"] * getattr(request, "param", 1))
    ]
    shelf = Shelf(PASSAGES | {"Hours": "We open at nine."})
    services = [build_conversations(platforms[0]), *(build_ai(one, shelf) for one in platforms[1:])]
    running = [Running(service, platform) for service, platform in zip(services, platforms, strict=True)]
    for platform in platforms:
        platform.shards.on_commit.append(binding.committed)
    for service in running:
        await service.start()

    async def nothing_missing() -> dict[str, str]:
        return {}

    app = make_app([router for service in services[:2] for router in service.routers], keys, nothing_missing)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost"
    ) as client:
        yield client
    for service in running:
        await service.stop()
    await valkey.stop()


@pytest.fixture
async def shop(http: httpx.AsyncClient, settings: Settings, org: OrgId) -> Shop:
    member = Member(org_id=org, user_id=UserId(new_id()), role=Role.OWNER, name="Ana", session_id=new_id())
    headers = {"Authorization": f"Bearer {Keys(settings.secrets).sign_member(member, 600)}"}
    inbox = await http.post("/api/v1/inboxes", json={"name": "Web", "channel": "web_widget"}, headers=headers)
    assert inbox.status_code == 201, inbox.text
    return Shop(http, headers, inbox.json()["public_key"])


async def test_a_conversation_with_the_assistant(shop: Shop) -> None:
    customer = await shop.customer()
    await customer.write("Hello")
    assert "How can I help" in (await customer.answer())["text"]
    await customer.write(COVERED)
    answer = await customer.answer()
    assert answer["action"] == "reply"
    assert answer["citations"][0]["title"] == "Returns"
    await customer.write(UNCOVERED)
    answer = await customer.answer()
    assert answer["action"] == "hand_over"
    assert "couldn't find" in answer["text"]
    await customer.write(COVERED)
    await asyncio.sleep(1)
    assert len(await customer.answers()) == 3, "after the hand-over it is silent"


async def test_a_burst_of_messages_gets_one_good_answer(shop: Shop) -> None:
    customer = await shop.customer()
    for text in ("Hi,", "I have a question.", "It is about your shop.", COVERED):
        await customer.write(text)
    await customer.answer()
    await asyncio.sleep(1.5)
    answers = await customer.answers()
    assert len(answers) == 1
    assert answers[0]["text"].startswith("You can return any item within 30 days.")
    seqs = [message["seq"] for message in await customer.messages()]
    assert seqs == sorted(set(seqs))


@pytest.mark.parametrize("http", [1, 8], indirect=True, ids=["one worker", "eight workers"])
async def test_a_burst_that_begins_with_the_question_gets_one_answer_to_all_of_it(shop: Shop) -> None:
    """A short quote would be out before the second message, if it began at once."""
    customers = [await shop.customer() for _ in range(3)]

    async def burst(customer: Customer) -> None:
        for text in ("Do you open at nine?", "Open at nine?", "At nine, open?", "So: open at nine?"):
            await customer.write(text)
            await asyncio.sleep(0.3)

    await asyncio.gather(*map(burst, customers))
    await asyncio.gather(*(customer.answer() for customer in customers))
    await asyncio.sleep(1.5)
    for customer in customers:
        messages = await customer.messages()
        assert [message["author"] for message in messages] == ["customer"] * 4 + ["assistant"]
        assert messages[-1]["text"].startswith("We open at nine.")


async def test_after_a_take_over_the_assistant_never_speaks(shop: Shop, base_url: str) -> None:
    await shop.use_model(base_url, "dana-sim:slow")
    customers = [await shop.customer() for _ in range(12)]

    async def interrupt(customer: Customer, delay: float) -> None:
        await customer.write(COVERED)
        await asyncio.sleep(delay)
        await shop.act(customer, "take-over")

    delays = [0.0, 0.02, *(random.uniform(0, 0.8) for _ in customers[2:])]  # noqa: S311 - any moment may be it
    await asyncio.gather(*map(interrupt, customers, delays))
    await asyncio.sleep(2)
    for customer in customers:
        messages = await customer.messages()
        taken_over = next(m["seq"] for m in messages if m["author"] == "system" and "joined" in m["text"])
        assert not [m for m in messages if m["author"] == "assistant" and m["seq"] > taken_over]


async def test_it_is_back_on_duty_after_a_resolved_conversation(shop: Shop) -> None:
    customer = await shop.customer()
    await customer.write(COVERED)
    await customer.answer()
    await shop.act(customer, "resolve")
    await customer.write("Do orders above 50 euros ship free?")
    answer = await customer.answer()
    assert "ship free of charge" in answer["text"]
