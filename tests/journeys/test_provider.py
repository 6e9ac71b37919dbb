"""With a language model: a simulator that speaks the protocol of the real ones, and can misbehave."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from loadtest.provider import Simulator, running
from tests.journeys.people import Agent, Customer
from tests.journeys.questions import COVERED, COVERED_ANSWER, UNCOVERED
from tests.journeys.scene import Scene

pytestmark = pytest.mark.usefixtures("sample")

KEY = "sk-journey"


@pytest.fixture
async def model_server() -> AsyncIterator[str]:
    """A model server; yields its address."""
    async with running(Simulator(key=KEY, piece_seconds=0.05), 0) as address:
        yield address


async def test_an_owner_connects_a_model_and_a_customer_is_answered(
    scene: Scene, agent: Agent, customer: Customer, model_server: str
) -> None:
    await agent.signs_in(scene.email)
    await agent.goes_to("Assistant")
    await agent.page.get_by_role("radio", name="A language model").check()
    await agent.page.get_by_label(re.compile("^Address")).fill(model_server)
    await agent.page.get_by_label("Model name").fill("dana-sim")
    await agent.page.get_by_label("API key").fill(KEY)
    await agent.finds_the_page_accessible()
    await agent.presses("Save")
    await expect(agent.page.get_by_role("button", name="Save", exact=True)).to_be_disabled()

    await customer.visits(scene.demo_page)
    await customer.writes(COVERED)
    await expect(customer.messages.locator(".draft")).to_be_visible()
    answer = await customer.sees_answers(1)
    await expect(answer).to_contain_text(COVERED_ANSWER)
    await customer.opens_the_source(answer)
    await customer.writes(UNCOVERED)
    await customer.sees("A person will answer.")


async def test_nobody_is_left_waiting_when_the_model_fails(
    scene: Scene, customer: Customer, model_server: str
) -> None:
    provider = {"kind": "openai", "base_url": model_server, "model": "dana-sim:failing", "api_key": KEY}
    await scene.put_assistant(provider=provider)
    await customer.visits(scene.demo_page)
    await customer.writes(COVERED)
    await customer.sees_answers(1)


async def test_no_answer_comes_after_a_person_took_over(
    scene: Scene, agent: Agent, customer: Customer, model_server: str
) -> None:
    provider = {"kind": "openai", "base_url": model_server, "model": "dana-sim:slow", "api_key": KEY}
    await scene.put_assistant(provider=provider)
    await agent.signs_in(scene.email)
    await agent.opens_the_inbox("Assistant")
    await customer.visits(scene.demo_page)
    await customer.writes(COVERED)
    await expect(customer.messages.locator(".draft")).to_be_visible()
    await agent.opens()
    await agent.presses("Take over")
    await expect(customer.messages.locator(".draft")).to_be_hidden()
    await agent.replies("I answer this one myself.")
    await customer.sees("I answer this one myself.")
    await customer.page.wait_for_timeout(3_000)
    [conversation] = await scene.conversations()
    assert await scene.said(conversation["id"]) == [COVERED, "I answer this one myself."]
