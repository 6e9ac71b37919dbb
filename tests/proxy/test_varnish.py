"""Public answers through a real caching proxy: kept, revalidated, and replaced when something changes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from dana.app import compose, started
from dana.contracts.ids import new_id
from dana.platform.errors import Unavailable
from dana.platform.http.serving import serve_http
from dana.platform.local.programs import free_port
from dana.platform.purging import PURGES, Purger
from dana.platform.settings import Settings
from tests.proxy.varnish import TOKEN, varnish

pytestmark = pytest.mark.xdist_group("proxy")

PATIENCE_SECONDS = 20.0
LETTERS = "abcdefghij"


@pytest.fixture
async def proxy(alone: Settings, tmp_path: Path) -> AsyncIterator[str]:
    """The whole application behind a Varnish that it tells of changes; yields the Varnish's address."""
    asset = tmp_path / "web" / "assets" / "app-1234.js"
    asset.parent.mkdir(parents=True)
    asset.write_text("code")
    port = free_port()
    with varnish(tmp_path, port) as url:
        whole = compose(
            replace(
                alone,
                web_dir=tmp_path / "web",
                cdn_purge_url=f"{url}/.purge",
                cdn_purge_header=f"X-Purge-Token: {TOKEN}",
            )
        )
        async with started(whole):
            stop, is_listening = asyncio.Event(), asyncio.Event()
            serving = asyncio.create_task(serve_http(whole.http, "127.0.0.1", port, is_listening.set, stop))
            await is_listening.wait()
            yield url
            stop.set()
            await serving


@pytest.fixture
async def ana(proxy: str) -> AsyncIterator[httpx.AsyncClient]:
    """An owner, who works through the proxy like everybody."""
    async with httpx.AsyncClient(base_url=f"{proxy}/api/v1/", timeout=30) as http:
        who = {"email": f"{new_id()}@example.org", "password": "correct horse battery"}
        answer = await http.post("auth/signup", json=who | {"name": "Ana", "organization": "A"})
        assert answer.status_code == 201, answer.text
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield http


@pytest.fixture
async def page(proxy: str) -> AsyncIterator[httpx.AsyncClient]:
    """A customer's browser, with nothing kept."""
    async with httpx.AsyncClient(base_url=proxy, timeout=30) as http:
        yield http


async def open_inbox(ana: httpx.AsyncClient, greeting: str) -> tuple[str, str]:
    body = {"name": "Shop", "channel": "web_widget", "greeting": greeting}
    inbox = (await ana.post("inboxes", json=body)).json()
    return inbox["id"], f"/api/v1/widget/{inbox['public_key']}"


async def settled(page: httpx.AsyncClient, path: str) -> httpx.Response:
    """Return the first answer that comes from the proxy itself: a purge is said twice, the second later."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answer := await page.get(path)).headers["x-cache"] != "HIT":
            await asyncio.sleep(0.02)
    return answer


async def test_the_proxy_keeps_an_answer_until_it_changes(
    ana: httpx.AsyncClient, page: httpx.AsyncClient
) -> None:
    told = PURGES.labels("done")._value.get()
    inbox_id, path = await open_inbox(ana, "Hello")
    _, other_path = await open_inbox(ana, "Another")
    for each in (path, other_path):
        assert (await settled(page, each)).json()["name"] == "Shop"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while PURGES.labels("done")._value.get() < told + 4:  # of each inbox's opening it is told twice
            await asyncio.sleep(0.02)
    for each in (path, other_path):
        await settled(page, each)

    kept = await page.get(path)
    assert (kept.headers["x-cache"], kept.json()["greeting"]) == ("HIT", "Hello")
    assert kept.headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert "surrogate-key" not in kept.headers, "what is between the proxy and Dana stays there"
    other_site = await page.get(path, headers={"origin": "https://shop.example"})
    assert other_site.headers["x-cache"] == "MISS", "the gateway's answer names the site that it lets in"
    again = await page.get(path, headers={"if-none-match": kept.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    for letter in LETTERS:
        changed = await ana.patch(f"inboxes/{inbox_id}", json={"greeting": f"Hello {letter}"})
        assert changed.status_code == 200
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await page.get(path)).json()["greeting"] != f"Hello {letter}":
                await asyncio.sleep(0.02)
    fresh = await settled(page, path)
    assert fresh.json()["greeting"] == f"Hello {LETTERS[-1]}"
    assert fresh.headers["etag"] != kept.headers["etag"]
    neighbour = await page.get(other_path)
    assert (neighbour.headers["x-cache"], neighbour.json()["greeting"]) == ("HIT", "Another"), (
        "purged too much"
    )


async def test_what_is_private_or_missing_is_never_kept(
    ana: httpx.AsyncClient, page: httpx.AsyncClient
) -> None:
    for _ in range(2):
        assert (await ana.get("conversations")).headers["x-cache"] == "MISS"
        missing = await page.get("/api/v1/widget/inbox_that_is_not_there")
        assert (missing.status_code, missing.headers["x-cache"]) == (404, "MISS")
        assert missing.headers["cache-control"] == "no-store"


async def test_files_whose_name_holds_their_content_are_kept_for_ever(page: httpx.AsyncClient) -> None:
    await page.get("/assets/app-1234.js")
    asset = await page.get("/assets/app-1234.js")
    assert (asset.headers["x-cache"], asset.text) == ("HIT", "code")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_only_who_knows_the_token_can_purge(proxy: str, page: httpx.AsyncClient) -> None:
    headers = {"surrogate-key": "inbox-1"}
    assert (await page.post("/.purge", headers=headers)).status_code == 403
    with pytest.raises(Unavailable, match="refused to be told of a change: 403"):
        await Purger(f"{proxy}/.purge", "X-Purge-Token: wrong").purge("inbox-1")
    with pytest.raises(Unavailable, match="refused to be told of a change: 400"):
        await Purger(f"{proxy}/.purge", f"X-Purge-Token: {TOKEN}").purge(".*")


async def test_a_proxy_that_cannot_be_told_is_told_later(proxy: str) -> None:
    before = PURGES.labels("failed")._value.get()
    with pytest.raises(Unavailable, match="can't be told"):
        await Purger(f"http://127.0.0.1:{free_port()}/.purge").purge("inbox-1")
    assert PURGES.labels("failed")._value.get() == before + 1
    await Purger("").purge("inbox-1")  # no proxy, nothing to tell
