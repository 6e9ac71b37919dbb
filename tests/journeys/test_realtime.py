"""The connection behind the screens: shared among tabs, replaced where sockets are blocked, asleep unseen."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Page, WebSocket, expect

from tests.journeys.conftest import Meet
from tests.journeys.people import Agent, Customer
from tests.journeys.questions import UNCOVERED
from tests.journeys.scene import Scene

TABS = 5
SLEEPS_AFTER = "00:35"
BLOCKED = """window.WebSocket = class extends EventTarget {
  readyState = 0;
  constructor() { super(); setTimeout(() => this.fail(), 5); }
  fail() {
    this.readyState = 3;
    const closed = new CloseEvent("close", {code: 1006});
    this.dispatchEvent(closed);
    this.onclose?.(closed);
  }
  send() {}
  close() {}
};"""


class Sockets:
    """Which sockets a page has open, and how many it ever had."""

    def __init__(self, page: Page) -> None:
        self.all: list[WebSocket] = []
        page.on("websocket", self._take)

    def _take(self, socket: WebSocket) -> None:
        self.all.append(socket)

    @property
    def open(self) -> list[WebSocket]:
        """Those that are open now."""
        return [socket for socket in self.all if not socket.is_closed()]


@dataclass(eq=False)
class Tab(Agent):
    """A tab of the console, and its sockets."""

    sockets: Sockets = field(init=False)

    def __post_init__(self) -> None:
        """Watch from the beginning."""
        super().__post_init__()
        self.sockets = Sockets(self.page)


@pytest.fixture
async def tabs(meet: Meet[Tab], scene: Scene) -> AsyncIterator[list[Tab]]:
    """Five tabs of one agent, each with the inbox open."""
    first = await meet(Tab)
    await first.signs_in(scene.email)
    others = [Tab(await first.page.context.new_page(), first.url) for _ in range(TABS - 1)]
    await asyncio.gather(*(tab.page.goto(tab.url) for tab in others))
    for tab in (first, *others):
        await expect(tab.page.locator("[data-link=live]")).to_be_attached()
    yield [first, *others]
    for tab in others:
        tab.has_no_complaint()


async def test_five_tabs_share_one_connection(tabs: list[Tab], scene: Scene, customer: Customer) -> None:
    await customer.visits(scene.demo_page)
    await customer.writes(UNCOVERED)
    await customer.sees("A person will answer.")
    [leader] = [tab for tab in tabs if tab.sockets.open]
    await asyncio.gather(*(tab.opens() for tab in tabs))

    opened = sum(len(tab.sockets.all) for tab in tabs)
    await leader.page.close()
    others = [tab for tab in tabs if tab is not leader]
    await customer.writes("Written after a tab was closed.")
    [conversation] = await scene.conversations()
    for tab in others:
        await tab.sees("Written after a tab was closed.")
        assert await tab.has_read() == await scene.said(conversation["id"])
    [successor] = [tab for tab in others if tab.sockets.open]
    assert sum(len(tab.sockets.all) for tab in tabs) == opened + 1
    follower = next(tab for tab in others if tab is not successor)
    await follower.starts_typing("I am")
    await customer.sees("Ana Lopez is typing")


async def test_where_no_socket_gets_through(
    scene: Scene, shop: str, agent: Agent, customer: Customer
) -> None:
    for person in (agent, customer):
        await person.page.add_init_script(BLOCKED)
    await customer.visits(shop)
    await customer.writes(UNCOVERED)
    await customer.sees("A person will answer.")
    await agent.signs_in(scene.email)
    await agent.opens_the_inbox()
    await agent.opens()
    await expect(agent.page.locator("[data-link=live]")).to_be_attached()
    await agent.starts_typing("Without ")
    await customer.sees("Ana Lopez is typing")
    await agent.replies("sockets.")
    await customer.sees("Without sockets.")
    await customer.starts_typing("It ")
    await expect(agent.page.get_by_role("log").get_by_text("is typing…")).to_be_visible()
    await customer.writes("works.")
    await agent.sees("It works.")
    [conversation] = await scene.conversations()
    assert await agent.has_read() == await customer.has_read() == await scene.said(conversation["id"])


async def test_the_chat_sleeps_while_nobody_sees_it(scene: Scene, agent: Agent, customer: Customer) -> None:
    await customer.page.clock.install()
    sockets = Sockets(customer.page)
    await customer.visits(scene.demo_page)
    await customer.writes(UNCOVERED)
    await customer.sees("A person will answer.")
    await agent.signs_in(scene.email)
    await agent.opens_the_inbox()
    await agent.opens()
    pane = agent.page.get_by_role("region", name="Conversation")
    customer_is_here = pane.get_by_role("img", name="Online")
    await expect(customer_is_here).to_be_visible()

    await customer.looks_away()
    await customer.page.clock.fast_forward(SLEEPS_AFTER)
    await expect(customer_is_here).to_be_hidden()
    await agent.replies("Written while you slept.")
    assert not sockets.open
    await customer.looks_again()
    await customer.sees("Written while you slept.")
    [conversation] = await scene.conversations()
    assert await customer.has_read() == await scene.said(conversation["id"])
    assert len(sockets.all) == 2
