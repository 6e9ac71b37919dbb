"""Valkey is killed in the middle of work and comes back: slower meanwhile, nothing acknowledged is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from dana.contracts.ids import new_id
from dana.platform.cache.caches import READS
from dana.platform.local.valkey import Valkey as Server
from dana.platform.local.valkey import start_valkey
from dana.platform.settings import Settings
from tests.platform.serving import served

WRITERS = 3
LEAST_ROUNDS = 15  # of everybody, before, during and after the outage
DELETION = {"quiet_since": "2020-01-01T00:00:00Z"}


@dataclass(slots=True)
class Work:
    """What is done to one organization, and what came of it."""

    http: httpx.AsyncClient
    inbox_id: str = ""
    settings_path: str = ""
    conversation_path: str = ""
    acknowledged: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    stale: list[str] = field(default_factory=list)
    greeting: int = 0
    rounds: int = 0
    is_over: bool = False

    async def begin(self) -> None:
        """Open an inbox, and let a customer begin a conversation."""
        body = {"name": "Shop", "channel": "web_widget", "greeting": "0"}
        inbox = (await self.http.post("inboxes", json=body)).json()
        self.inbox_id, self.settings_path = inbox["id"], f"widget/{inbox['public_key']}"
        conversation = (await self.http.post(f"{self.settings_path}/conversations", json={})).json()
        self.conversation_path = f"conversations/{conversation['conversation_id']}/messages"

    async def write(self) -> None:
        """Post messages, one after the other."""
        while not self.is_over:
            key = str(new_id())
            answer = await self.http.post(
                self.conversation_path, json={"text": key}, headers={"idempotency-key": key}
            )
            self.statuses.add(answer.status_code)
            if answer.status_code == 201:
                self.acknowledged.append(key)
            await asyncio.sleep(0.02)

    async def change(self) -> None:
        """Change the greeting and read it; what was acknowledged must be there."""
        while not self.is_over:
            text = str(self.greeting + 1)
            changed = await self.http.patch(f"inboxes/{self.inbox_id}", json={"greeting": text})
            self.statuses.add(changed.status_code)
            self.greeting += 1
            for _ in range(3):
                answer = await self.http.get(self.settings_path, headers={"authorization": ""})
                self.statuses.add(answer.status_code)
                if answer.json()["greeting"] != text:
                    self.stale.append(f"{answer.json()['greeting']} instead of {text}")
            self.statuses.add((await self.http.get("conversations/search", params={"q": text})).status_code)
            self.rounds += 1
            await asyncio.sleep(0.05)

    async def more(self) -> None:
        """Wait until everybody has done some rounds more."""
        rounds, messages = self.rounds + LEAST_ROUNDS, len(self.acknowledged) + LEAST_ROUNDS
        await until(lambda: self.rounds >= rounds and len(self.acknowledged) >= messages)


@pytest.fixture
async def work(settings: Settings, server: Server) -> AsyncIterator[Work]:
    async with (
        served(replace(settings, redis_url=server.url)) as url,
        httpx.AsyncClient(base_url=f"{url}/api/v1/", timeout=30) as http,
    ):
        who = {"email": f"{new_id()}@example.org", "password": "correct horse battery"}
        answer = await http.post("auth/signup", json=who | {"name": "Ana", "organization": "A"})
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        work = Work(http)
        await work.begin()
        yield work


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_everything_goes_on_without_it_and_with_it_again(
    work: Work, server: Server, tmp_path: Path
) -> None:
    tasks = [asyncio.create_task(work.write()) for _ in range(WRITERS)]
    tasks.append(asyncio.create_task(work.change()))
    await work.more()
    assert READS.labels("widget", "local")._value.get() > 0

    server.process.kill()
    server.process.wait()
    await work.more()
    refused = await work.http.post("conversations/deletions", json=DELETION)
    assert (refused.status_code, refused.json()["limit"]) == (503, "bulk"), "what fails closed"
    assert int(refused.headers["retry-after"]) >= 1
    from_local = READS.labels("widget", "local")._value.get()
    await work.more()
    assert READS.labels("widget", "local")._value.get() == from_local, "nothing here can be believed"

    again = start_valkey(tmp_path, int(server.url.rsplit(":", 1)[1].partition("/")[0]))
    try:
        await until(lambda: READS.labels("widget", "local")._value.get() > from_local)
        await work.more()
        answer = await work.http.get("conversations/counts")
        assert "ratelimit" in answer.headers, "it counts again"
        accepted = await work.http.post("conversations/deletions", json=DELETION)
        assert accepted.status_code == 202, accepted.text
        work.is_over = True
        await asyncio.gather(*tasks)
    finally:
        again.stop()

    assert work.statuses <= {200, 201}
    assert work.stale == []
    assert sorted(await texts(work)) == sorted(work.acknowledged)


async def texts(work: Work) -> list[str]:
    """Read everything that agents said, page by page."""
    found: list[str] = []
    after = 0
    while True:
        page = (await work.http.get(work.conversation_path, params={"after": after, "limit": 100})).json()
        found += [message["text"] for message in page["items"] if message["author"] == "agent"]
        if page["next_cursor"] is None:
            return found
        after = int(page["next_cursor"])
