"""Limits on the whole application, over real HTTP: a noisy organization, and a Valkey that dies."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from dana.contracts.ids import new_id
from dana.platform.limits import QUOTAS
from dana.platform.local.valkey import Valkey as Server
from dana.platform.local.valkey import start_valkey
from dana.platform.settings import Settings
from tests.platform.serving import served

FLOOD = 400
AT_ONCE = 40
SEARCHES = next(quota for quota in QUOTAS["search"] if quota.name == "search")
SEARCH_COST = 5
PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Running:
    """An application with a Valkey of its own."""

    url: str
    valkey: Server


@pytest.fixture
async def running(settings: Settings, server: Server) -> AsyncIterator[Running]:
    async with served(replace(settings, redis_url=server.url)) as url:
        yield Running(url, server)


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=f"{url}/api/v1/", timeout=60, limits=limits) as http:
        who = {"email": f"{new_id()}@example.org", "password": PASSWORD, "name": "Ana", "organization": "A"}
        answer = await http.post("auth/signup", json=who)
        assert answer.status_code == 201, answer.text
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield http


async def search(http: httpx.AsyncClient) -> httpx.Response:
    return await http.get("conversations/search", params={"q": "anything"})


async def test_every_answer_says_how_the_quotas_stand(running: Running) -> None:
    async with owner(running.url) as ana:
        first, second = await search(ana), await search(ana)
        assert first.headers["ratelimit-policy"].startswith(
            '"organization";q=2000;w=10, "user";q=1000;w=10, '
        )
        left = re.findall(r'"([a-z]+)";r=(\d+);t=\d+', second.headers["ratelimit"])
        assert [name for name, _ in left] == ["organization", "user", "search"]
        assert all(
            most - 2 * SEARCH_COST <= int(r) < most
            for (_, r), most in zip(left, (2000, 1000, 500), strict=True)
        )
        assert (
            "ratelimit"
            not in (await ana.get(f"{running.url}/healthz", headers={"authorization": ""})).headers
        )
        paths = (await ana.get(f"{running.url}/openapi.json")).json()["paths"]
        assert "429" in paths["/api/v1/conversations/search"]["get"]["responses"]


async def test_a_noisy_organization_is_slowed_down_and_all_of_another_are_served(running: Running) -> None:
    async with owner(running.url) as noisy, owner(running.url) as quiet:
        began = time.monotonic()
        flood = asyncio.gather(*(search(noisy) for _ in range(FLOOD)))
        beside: list[httpx.Response] = []
        while not flood.done() or len(beside) < 10:
            beside += [await search(quiet), await quiet.get("conversations")]
            if len(beside) >= SEARCHES.units / SEARCH_COST:
                break  # more than that would be noise, too
        answers = await flood
    assert {answer.status_code for answer in beside} == {200}
    assert len(beside) >= 10
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    regained = SEARCHES.units * (time.monotonic() - began) / SEARCHES.seconds
    assert statuses.count(200) <= (SEARCHES.units + regained) / SEARCH_COST
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["limit"] == "search"
    assert '"search";r=' in refused.headers["ratelimit"]


async def test_guessing_passwords_stays_slow_when_valkey_is_dead(running: Running) -> None:
    async with owner(running.url) as ana:
        email = (await ana.get("auth/me")).json()["user"]["email"]
        running.valkey.process.kill()
        running.valkey.process.wait()

        async def guess(password: str) -> httpx.Response:
            return await ana.post("auth/login", json={"email": email, "password": password})

        assert (await guess(PASSWORD)).status_code == 200
        wrong = [await guess("wrong horse battery") for _ in range(11)]
        assert [answer.status_code for answer in wrong] == [401] * 10 + [429]
        assert "ratelimit" not in wrong[0].headers
        assert (await guess(PASSWORD)).status_code == 429


async def test_requests_go_on_uncounted_while_valkey_is_dead_and_are_counted_again(
    running: Running, tmp_path: Path
) -> None:
    async with owner(running.url) as ana:
        running.valkey.process.kill()
        running.valkey.process.wait()
        during = [await search(ana) for _ in range(5)]
        assert {(each.status_code, "ratelimit" in each.headers) for each in during} == {(200, False)}
        again = start_valkey(tmp_path, _port(running.valkey))
        try:
            async with asyncio.timeout(20):
                answer: Any = None
                while answer is None or "ratelimit" not in answer.headers:
                    answer = await search(ana)
                    assert answer.status_code == 200
        finally:
            again.stop()


def _port(server: Server) -> int:
    return int(server.url.rsplit(":", 1)[1].partition("/")[0])
