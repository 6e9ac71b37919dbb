"""The team: a teammate joins on a second browser and sees the same inbox, live."""

import secrets

from playwright.async_api import expect

from tests.journeys.conftest import Meet
from tests.journeys.people import Agent, Customer
from tests.journeys.questions import UNCOVERED
from tests.journeys.scene import Scene


async def test_a_teammate_joins_and_sees_the_same_inbox_live(
    agent: Agent, customer: Customer, meet: Meet[Agent], scene: Scene
) -> None:
    await agent.signs_in(scene.email)
    link = await agent.invites(f"ben-{secrets.token_hex(4)}@example.com")
    await agent.finds_the_page_accessible()

    ben = await meet(Agent)
    await ben.accepts(link, "Ben Okafor")
    await agent.opens_the_inbox()
    await ben.opens_the_inbox()

    await customer.visits(scene.demo_page)
    await customer.writes(UNCOVERED)
    await customer.sees("A person will answer.")
    await agent.opens()
    await ben.opens()
    await expect(agent.page.get_by_role("status").filter(has_text="Ben Okafor is also here")).to_be_attached()
    await expect(ben.page.get_by_role("status").filter(has_text="Ana Lopez is also here")).to_be_attached()

    await ben.presses("Take over")
    await agent.sees("Ben Okafor joined the conversation.")
    await ben.replies("Bobby Fischer, in Reykjavík.")
    await agent.sees("Bobby Fischer, in Reykjavík.")
    await customer.sees("Bobby Fischer, in Reykjavík.")
    await customer.is_told("You are talking with Ben Okafor")

    await agent.presses("Assign")
    await agent.page.get_by_role("menuitem", name="Ana Lopez (you)").click()
    await customer.is_told("You are talking with Ana Lopez")
    await ben.presses("Resolve")
    await expect(agent.page.get_by_role("button", name="Reopen")).to_be_visible()

    await agent.goes_to("Team")
    line = agent.page.get_by_role("listitem").filter(has_text="Ben Okafor")
    await expect(line.get_by_role("img", name="Online")).to_be_visible()
    await ben.looks_away()
    await expect(line.get_by_role("img", name="Away")).to_be_visible()
    await agent.finds_the_page_accessible()
    await ben.page.close()
    await expect(line.get_by_role("img", name="Away")).to_be_hidden()


async def test_an_invitation_works_once(agent: Agent, meet: Meet[Agent], scene: Scene) -> None:
    await agent.signs_in(scene.email)
    link = await agent.invites(f"ben-{secrets.token_hex(4)}@example.com")
    await (await meet(Agent)).accepts(link, "Ben Okafor")
    late = await meet(Agent)
    await late.page.goto(link)
    await expect(late.page.get_by_text("This invitation can't be used")).to_be_visible()
    await late.finds_the_page_accessible()


async def test_signing_out_everywhere_signs_out_the_other_browser(
    agent: Agent, meet: Meet[Agent], scene: Scene
) -> None:
    await agent.signs_in(scene.email)
    other = await meet(Agent)
    await other.signs_in(scene.email)
    await agent.page.get_by_role("button", name="Your profile").click()
    await agent.page.get_by_role("menuitem", name="Sign out everywhere").click()
    await agent.page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
    await expect(agent.page.get_by_role("button", name="Sign in")).to_be_visible()
    await other.page.reload()
    await expect(other.page.get_by_role("button", name="Sign in")).to_be_visible()
