"""Search: somebody remembers a word of a conversation that has long been resolved."""

from playwright.async_api import expect

from tests.journeys.conftest import Meet
from tests.journeys.people import Agent, Customer
from tests.journeys.questions import UNCOVERED
from tests.journeys.scene import Scene


async def test_an_agent_finds_what_was_said_wherever_it_stands(
    agent: Agent, customer: Customer, meet: Meet[Agent], scene: Scene
) -> None:
    await agent.signs_in(scene.email)
    await customer.visits(scene.demo_page)
    await customer.writes("The turquoise umbrella arrived broken")
    await customer.writes(UNCOVERED)
    await customer.sees("A person will answer.")
    await agent.opens_the_inbox()
    await agent.opens()
    await agent.notes("Their name is Müller-Lüdenscheidt")
    await agent.presses("Resolve")
    await agent.opens_the_inbox("Open")

    found = await agent.searches("umbr turquoise")
    await expect(found).to_have_count(1)
    await expect(found.locator("mark").first).to_have_text("turquoise")
    await agent.finds_the_page_accessible()
    await found.get_by_role("button").click()
    await agent.sees("The turquoise umbrella arrived broken")

    await agent.page.keyboard.press("Escape")
    await expect(await agent.searches("muller")).to_contain_text("Private note")
    await (await agent.searches("zeppelin")).first.wait_for(state="detached")
    await expect(agent.page.get_by_text("Nothing found")).to_be_visible()
    await agent.finds_the_page_accessible()
    await agent.page.keyboard.press("Escape")
    await expect(agent.page.get_by_role("tab", name="Open")).to_be_visible()

    phone = await meet(Agent, viewport={"width": 360, "height": 740}, color_scheme="dark")
    await phone.signs_in(scene.email)
    await phone.opens_the_inbox()
    found = await phone.searches("turquoise")
    await expect(found).to_have_count(1)
    await phone.finds_the_page_accessible()
