"""Every page of the console, by day and by night, at a desk and on a phone."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import Meet
from tests.journeys.people import Agent, Customer
from tests.journeys.questions import COVERED
from tests.journeys.scene import Scene

DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "color_scheme": "dark",
    "is_mobile": True,
    "has_touch": True,
}
PAGES = (
    "/inbox",
    "/inbox?status=pending",
    "/knowledge",
    "/assistant",
    "/inboxes",
    "/team",
    "/jobs",
    "/welcome",
)


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize("options", [DESK, PHONE], ids=["desk by day", "phone by night"])
async def test_every_page(
    scene: Scene, customer: Customer, meet: Meet[Agent], options: dict[str, Any]
) -> None:
    await customer.visits(scene.demo_page)
    await customer.writes(COVERED)
    await customer.sees_answers(1)
    agent = await meet(Agent, **options)
    for path in ("/signup", "/signin"):
        await agent.page.goto(agent.url + path)
        await expect(agent.page.get_by_role("heading", level=1)).to_be_visible()
        await _looks_right(agent)
    await agent.signs_in(scene.email)
    [conversation] = await scene.conversations()
    for path in (*PAGES, f"/inbox/{conversation['id']}"):
        await agent.page.goto(agent.url + path)
        await expect(agent.page.get_by_role("heading").first).to_be_visible()
        await agent.page.wait_for_load_state("networkidle")
        await _looks_right(agent)
    await agent.page.get_by_role("button", name="Source 1").click()
    await expect(agent.page.get_by_role("dialog").get_by_text("word for word")).to_be_visible()
    await expect(agent.page.get_by_role("dialog")).to_have_css("opacity", "1")  # it has faded in
    await _looks_right(agent)


async def _looks_right(agent: Agent) -> None:
    await agent.finds_the_page_accessible()
    overflow = await agent.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, f"{agent.page.url} is {overflow} px wider than the screen"
