"""The composition: each process answers for the services it runs, and for no other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from dana.app import ALL, compose, describe_all
from dana.platform.gateway.model import Upstream
from dana.platform.settings import Settings

ROUTES = {
    Upstream.AUTH: "/api/v1/auth/me",
    Upstream.CONVERSATIONS: "/api/v1/conversations",
    Upstream.KNOWLEDGE: "/api/v1/knowledge/documents",
    Upstream.AI: "/api/v1/assistant",
    Upstream.PLACEMENT: "/api/v1/platform/shards",
    Upstream.WEB: "/api/v1/platform/jobs",
}


@asynccontextmanager
async def process(settings: Settings, *names: Upstream) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to a process that runs some services."""
    composed = compose(settings, names)
    transport = httpx.ASGITransport(app=composed.http, client=("10.0.0.1", 4242))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield http
    finally:
        await composed.platform_shards.close()
        for service, platform in composed.services:
            await platform.shards.close()
            if service.stop and service.name != Upstream.REALTIME:  # which has not been started
                await service.stop()


@pytest.mark.parametrize("name", ALL)
async def test_a_process_answers_for_its_service_only(settings: Settings, name: Upstream) -> None:
    async with process(settings, name) as http:
        for service, path in ROUTES.items():
            status = (await http.get(path)).status_code
            assert status == (401 if service is name else 404), (service, path)
        assert (await http.get("/healthz")).json() == {"status": "alive"}
        assert (await http.get("/readyz")).json() == {"status": "ready", "waiting_for": {}}
        assert (await http.get("/openapi.json")).status_code == (200 if name is Upstream.WEB else 404)


async def test_any_two_may_share_a_process(settings: Settings) -> None:
    async with process(settings, Upstream.PLACEMENT, Upstream.AI) as http:
        answers = {service: (await http.get(path)).status_code for service, path in ROUTES.items()}
    assert {service for service, status in answers.items() if status == 401} == {
        Upstream.PLACEMENT,
        Upstream.AI,
    }


async def test_web_alone_describes_the_api_of_all(settings: Settings) -> None:
    async with process(settings, Upstream.WEB) as http:
        described = (await http.get("/openapi.json")).content
    assert described == describe_all(settings)
    assert all(path.encode() in described for path in ROUTES.values())
    assert b"/internal" not in described


async def test_each_service_has_its_own_role(settings: Settings) -> None:
    composed = compose(settings)
    roles = set()
    for service, platform in composed.services:
        if service.name == Upstream.WEB:
            continue  # owns nothing
        pool = await platform.shards.catalog.pool()
        roles.add(await pool.fetchval("select current_user"))
        await platform.shards.close()
    assert roles == {f"dana_{name}" for name in ALL if name is not Upstream.WEB}
