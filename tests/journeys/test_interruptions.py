"""Whatever breaks in between, nothing is lost and nothing is doubled."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.browser import Network, RunningDana
from tests.journeys.conftest import Meet
from tests.journeys.people import Agent, Customer
from tests.journeys.questions import COVERED, COVERED_ANSWER, UNCOVERED
from tests.journeys.scene import Scene


async def _talking(scene: Scene, agent: Agent, customer: Customer) -> str:
    """Bring a customer and an agent into one conversation; returns its id."""
    await customer.visits(customer.url + scene.demo_path)
    await customer.writes(UNCOVERED)
    await customer.sees("A person will answer.")
    await agent.signs_in(scene.email)
    await agent.opens_the_inbox()
    await agent.opens()
    await agent.presses("Take over")
    await customer.sees("Ana Lopez joined the conversation.")
    [conversation] = await scene.conversations()
    return str(conversation["id"])


async def _agree(scene: Scene, conversation_id: str, agent: Agent, customer: Customer, last: str) -> None:
    """Both screens and the database must hold the same messages, each once."""
    await agent.sees(last)
    await customer.sees(last)
    stored = await scene.said(conversation_id)
    assert len(stored) == len(set(stored)), "nothing is doubled"
    assert await agent.has_read() == stored
    assert await customer.has_read() == stored


async def test_both_reload_in_the_middle(scene: Scene, agent: Agent, customer: Customer) -> None:
    conversation_id = await _talking(scene, agent, customer)
    await agent.replies("Hello, I am Ana.")
    await customer.sees("Hello, I am Ana.")
    await customer.reloads()
    await customer.sees("Hello, I am Ana.")
    await agent.replies("Still there?")
    await customer.sees("Still there?")
    await agent.page.reload()
    await agent.sees("Still there?")
    await customer.writes("Yes, I am.")
    await _agree(scene, conversation_id, agent, customer, "Yes, I am.")


async def test_the_customers_network_is_cut(
    scene: Scene, agent: Agent, meet: Meet[Customer], network: Network
) -> None:
    customer = await meet(Customer, network.url)
    conversation_id = await _talking(scene, agent, customer)
    network.cut()
    await customer.writes("I write this on the train.")
    await customer.writes("And this in the tunnel.")
    await agent.replies("You can't see this yet.")
    await expect(customer.page.get_by_text("what you write is kept and sent")).to_be_visible()
    network.mend()
    await customer.sees("You can't see this yet.")
    await agent.sees("I write this on the train.")
    await _agree(scene, conversation_id, agent, customer, "And this in the tunnel.")


async def test_the_agents_network_is_cut(
    scene: Scene, customer: Customer, meet: Meet[Agent], network: Network
) -> None:
    agent = await meet(Agent, network.url)
    conversation_id = await _talking(scene, agent, customer)
    network.cut()
    await customer.writes("Can you hear me?")
    await agent.replies("Written while the line was down.")
    await asyncio.sleep(1)
    network.mend()
    await agent.sees("Can you hear me?")
    await customer.sees("Written while the line was down.")
    await _agree(scene, conversation_id, agent, customer, "Written while the line was down.")


async def test_what_was_not_sent_survives_a_reload(
    scene: Scene, agent: Agent, meet: Meet[Customer], network: Network
) -> None:
    customer = await meet(Customer, network.url)
    conversation_id = await _talking(scene, agent, customer)
    network.cut()
    await customer.writes("Written without a line.")
    network.mend()
    await customer.reloads()
    await _agree(scene, conversation_id, agent, customer, "Written without a line.")


@pytest.mark.parametrize("part", ["services", "valkey", "gateway", "postgres"])
async def test_a_part_is_killed_between_messages(
    part: str, scene: Scene, agent: Agent, customer: Customer, dana: RunningDana
) -> None:
    conversation_id = await _talking(scene, agent, customer)
    dana.kill(part)
    await customer.writes("Written while it was dead.")
    await agent.replies("So was this.")
    await customer.sees("So was this.")
    await agent.sees("Written while it was dead.")
    dana.wait_until_ready()
    await customer.writes("And this after.")
    await _agree(scene, conversation_id, agent, customer, "And this after.")


@pytest.mark.usefixtures("sample")
async def test_the_services_are_killed_while_the_assistant_answers(
    scene: Scene, customer: Customer, dana: RunningDana
) -> None:
    await customer.visits(scene.demo_page)
    await customer.writes(COVERED)
    dana.kill()
    await expect(await customer.sees_answers(1)).to_contain_text(COVERED_ANSWER)
    [conversation] = await scene.conversations()
    assert len(await scene.said(conversation["id"])) == len([COVERED, COVERED_ANSWER])


async def test_dana_is_stopped_and_started_again(
    scene: Scene, agent: Agent, customer: Customer, dana: RunningDana
) -> None:
    conversation_id = await _talking(scene, agent, customer)
    await asyncio.to_thread(dana.stop)
    await customer.writes("Written while nothing ran.")
    await asyncio.to_thread(dana.start)
    await agent.sees("Written while nothing ran.")
    await agent.replies("We are back.")
    await _agree(scene, conversation_id, agent, customer, "We are back.")
