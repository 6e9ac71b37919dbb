"""A running Dana for all journeys, and fresh people for each; what they saw last is kept when one fails."""

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.async_api import Browser

from tests.browser import Network, RunningDana, chromium
from tests.journeys.people import Agent, Customer, Person
from tests.journeys.scene import Scene

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<main><h1>A shop</h1><p>With a strict content policy.</p></main>
<script async src="{dana}/widget.js" data-inbox="{key}" data-color="gold" data-position="left"></script>
</html>"""

RESULTS = Path(__file__).parents[2] / "test-results"
JOURNEY_SECONDS = 300

P = TypeVar("P", bound=Person)
Meet = Callable[..., Coroutine[Any, Any, P]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the journeys, keep them on one worker, and give them time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.journey)
            item.add_marker(pytest.mark.xdist_group("journeys"))
            item.add_marker(pytest.mark.timeout(JOURNEY_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a journey failed, for the fixture that keeps the pictures."""
    report = yield
    if report.when == "call":
        item.stash[failed] = report.failed
    return report


failed = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def dana() -> Iterator[RunningDana]:
    """Dana, started as a person starts it."""
    with tempfile.TemporaryDirectory(prefix="dana-journey-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user when we are root
        running = RunningDana(Path(folder))
        running.start()
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with chromium() as started:
        yield started


@pytest.fixture
async def network(dana: RunningDana) -> AsyncIterator[Network]:
    """A line to Dana that can be cut."""
    line = Network(dana.port)
    await line.start()
    yield line
    await line.stop()


@pytest.fixture
async def meet(
    browser: Browser, dana: RunningDana, request: pytest.FixtureRequest
) -> AsyncIterator[Meet[Any]]:
    """Bring people, each with a browser of their own."""
    people: list[Person] = []

    async def bring(kind: type[P], url: str | None = None, **options: Any) -> P:
        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        person = kind(await context.new_page(), url or dana.url)
        people.append(person)
        return person

    yield bring
    has_failed = request.node.stash.get(failed, False)
    for number, person in enumerate(people):
        if has_failed and not person.page.is_closed():
            name = re.sub(r"\W+", "-", request.node.name)
            await person.page.screenshot(path=RESULTS / f"{name}-{number}-{type(person).__name__}.png")
        await person.page.context.close()
    if not has_failed:
        for person in people:
            person.has_no_complaint()


@pytest.fixture
async def agent(meet: Meet[Agent]) -> Agent:
    """Somebody in the console."""
    return await meet(Agent)


@pytest.fixture
async def customer(meet: Meet[Customer]) -> Customer:
    """Somebody on a website."""
    return await meet(Customer)


@pytest.fixture
async def scene(dana: RunningDana) -> AsyncIterator[Scene]:
    """An organization with an inbox and no knowledge yet, made through the API."""
    async with Scene(dana.url) as made:
        await made.sign_up()
        await made.add_inbox()
        yield made


@pytest.fixture
async def sample(scene: Scene) -> None:
    """The sample help centre, all of it searchable."""
    await scene.add_sample()


@pytest.fixture
async def shop(scene: Scene) -> AsyncIterator[str]:
    """A website of its own that embeds the chat; yields its address."""
    dana = scene.demo_page.removesuffix(scene.demo_path)
    body = PAGE.format(dana=dana, key=scene.public_key).encode()
    policy = f"default-src 'none'; script-src {dana}; connect-src {dana} {dana.replace('http', 'ws')}"
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
        f"Content-Security-Policy: {policy}\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
