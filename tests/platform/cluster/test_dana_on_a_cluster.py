"""The whole application on a cluster: limits, caches and sockets' messages, while one server dies."""

import asyncio
from dataclasses import replace
from uuid import UUID

import httpx

from dana.app import compose, started
from dana.contracts.ids import new_id
from dana.platform.cache.caches import READS
from dana.platform.settings import Settings
from tests.platform.cluster.six import Six


async def test_everything_works_with_keys_on_several_servers(settings: Settings, six: Six) -> None:
    whole = compose(replace(settings, redis_url=six.url))
    async with started(whole):
        transport = httpx.ASGITransport(app=whole.http)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/") as http:
            who = {"email": f"{new_id()}@example.org", "password": "correct horse battery"}
            signed_up = await http.post("auth/signup", json=who | {"name": "Ana", "organization": "A"})
            session = signed_up.json()
            http.headers["authorization"] = f"Bearer {session['access_token']}"
            heard: list[bytes] = []
            channel = f"dana:org:{UUID(session['organization_id']).hex}"
            assert await whole.valkey.subscribe_sharded(channel, heard.append, lambda: None)

            inbox = await http.post("inboxes", json={"name": "Shop", "channel": "web_widget"})
            assert "ratelimit" in inbox.headers
            path = f"widget/{inbox.json()['public_key']}"
            before = READS.labels("widget", "local")._value.get()
            for greeting in ("one", "two"):
                change = {"greeting": greeting}
                assert (await http.patch(f"inboxes/{inbox.json()['id']}", json=change)).status_code == 200
                for _ in range(3):
                    assert (await http.get(path)).json()["greeting"] == greeting
            assert READS.labels("widget", "local")._value.get() > before
            async with asyncio.timeout(5):
                while len(heard) < 3:
                    await asyncio.sleep(0.01)

            six.nodes[0].process.kill()
            six.nodes[0].process.wait()
            for number in range(20):
                change = {"greeting": str(number)}
                assert (await http.patch(f"inboxes/{inbox.json()['id']}", json=change)).status_code == 200
                assert (await http.get(path)).json()["greeting"] == str(number)
