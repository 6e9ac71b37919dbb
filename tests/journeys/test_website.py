"""The chat on somebody else's website: another origin, a strict content policy, a phone, a keyboard."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.browser import RunningDana
from tests.journeys.conftest import Meet
from tests.journeys.people import Customer
from tests.journeys.questions import COVERED, COVERED_ANSWER
from tests.journeys.scene import Scene


@pytest.fixture(scope="module")
async def lumen(dana: RunningDana) -> AsyncIterator[Scene]:
    """One organization with the sample help centre, for all of these journeys."""
    async with Scene(dana.url) as made:
        await made.sign_up()
        await made.add_sample()
        yield made


@pytest.fixture
async def scene(lumen: Scene) -> Scene:
    """That organization, with an inbox of its own for each journey."""
    await lumen.add_inbox()
    return lumen


async def test_a_shop_with_a_strict_content_policy(shop: str, customer: Customer) -> None:
    await customer.visits(shop)
    await customer.finds_the_page_accessible()
    await customer.writes(COVERED)
    await expect(await customer.sees_answers(1)).to_contain_text(COVERED_ANSWER)
    await customer.reloads()
    await expect(await customer.sees_answers(1)).to_contain_text(COVERED_ANSWER)
    launcher = customer.page.get_by_role("button", name="Close chat").last
    box = await launcher.bounding_box()
    assert box is not None
    assert box["x"] < 100, "the shop wants it on the left"


async def test_on_a_phone_in_the_dark(scene: Scene, meet: Meet[Customer]) -> None:
    size = {"width": 360, "height": 740}
    customer = await meet(Customer, viewport=size, is_mobile=True, has_touch=True, color_scheme="dark")
    await customer.visits(scene.demo_page)
    await customer.writes(COVERED)
    await customer.sees_answers(1)
    await customer.finds_the_page_accessible()
    box = await customer.chat.bounding_box()
    assert box == {"x": 0, "y": 0, **size}
    await customer.page.get_by_role("button", name="Close chat").click()
    await expect(customer.chat).to_be_hidden()


async def test_with_the_keyboard_alone(scene: Scene, customer: Customer) -> None:
    page = customer.page
    await page.goto(scene.demo_page)
    launcher = page.get_by_role("button", name="Open chat")
    await launcher.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type(COVERED)
    await page.keyboard.press("Enter")
    answer = await customer.sees_answers(1)
    source = answer.get_by_role("list", name="Sources").get_by_role("button").first
    await page.keyboard.press("Shift+Tab")
    await expect(source).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Back to the chat")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(source).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(launcher).to_be_focused()


async def test_an_answer_to_a_closed_chat_is_counted(scene: Scene, customer: Customer) -> None:
    await customer.visits(scene.demo_page)
    await customer.writes(COVERED)
    await customer.page.keyboard.press("Escape")
    await expect(customer.page.get_by_role("button", name="Open chat, 1 unread")).to_be_visible()
    await customer.page.get_by_role("button", name="Open chat, 1 unread").click()
    await customer.sees(COVERED_ANSWER)
    await customer.page.keyboard.press("Escape")
    await expect(customer.page.get_by_role("button", name="Open chat", exact=True)).to_be_visible()


async def test_two_tabs_share_one_conversation(scene: Scene, customer: Customer) -> None:
    await customer.visits(scene.demo_page)
    second = Customer(await customer.page.context.new_page(), customer.url)
    await second.page.goto(scene.demo_page)
    await customer.writes("From the first tab: " + COVERED)
    await customer.sees_answers(1)
    await second.sees_answers(1)
    await second.writes("From the second tab: thank you!")
    await customer.sees("From the second tab: thank you!")
    assert len(await scene.conversations()) == 1
