"""The first day: from signing up to a customer who was helped, first by the assistant, then by a person."""

import re
import secrets

from playwright.async_api import expect

from tests.journeys.people import Agent, Customer
from tests.journeys.questions import COVERED, COVERED_ANSWER, UNCOVERED


async def test_an_owner_signs_up_and_helps_a_first_customer(agent: Agent, customer: Customer) -> None:
    await _sign_up(agent)
    await _teach_the_assistant(agent)
    demo_page = await _open_an_inbox(agent)

    await customer.visits(demo_page)
    await customer.finds_the_page_accessible()
    await _assistant_answers_with_a_source(customer)
    await _assistant_hands_over(customer)

    await _agent_takes_over_and_replies(agent, customer)
    await _both_see_each_other_typing(agent, customer)
    await _resolved_and_written_again(agent, customer)


async def _sign_up(agent: Agent) -> None:
    await agent.page.goto(f"{agent.url}/")
    await expect(agent.page).to_have_url(re.compile("/signin"))
    await agent.finds_the_page_accessible()
    await agent.page.goto(f"{agent.url}/signup")
    await agent.finds_the_page_accessible()
    await agent.signs_up("Ana Lopez", f"ana-{secrets.token_hex(4)}@example.com", "Lumen")


async def _teach_the_assistant(agent: Agent) -> None:
    """The first-run page offers the sample help centre, whose documents become searchable."""
    await expect(agent.page.get_by_text("knowledge", exact=False).first).to_be_visible()
    await agent.finds_the_page_accessible()
    await agent.presses("Add the sample help centre")
    await agent.goes_to("Knowledge")
    await agent.sees_all_searchable()
    await agent.finds_the_page_accessible()
    await agent.page.get_by_role("tab", name="Test the search").click()
    await agent.page.get_by_label("A customer's question").fill(COVERED)
    await agent.presses("Search")
    answer = agent.page.get_by_role("status").filter(has_text="The assistant would answer")
    await expect(answer).to_contain_text(COVERED_ANSWER)
    await agent.finds_the_page_accessible()


async def _open_an_inbox(agent: Agent) -> str:
    await agent.goes_to("Inboxes")
    await agent.page.get_by_role("button", name="New inbox").first.click()
    dialog = agent.page.get_by_role("dialog")
    await expect(dialog).to_have_css("opacity", "1")  # it has faded in
    await dialog.get_by_label("Name").fill("Lumen support")
    await agent.finds_the_page_accessible()
    await dialog.get_by_role("button", name="Create the inbox").click()
    await expect(dialog.get_by_role("region", name="Snippet")).to_contain_text('data-inbox="')
    link = dialog.get_by_role("link", name="Open the demo page")
    address = await link.get_attribute("href")
    assert address is not None
    await agent.page.keyboard.press("Escape")
    return agent.url + address


async def _assistant_answers_with_a_source(customer: Customer) -> None:
    await customer.writes(COVERED)
    answer = await customer.sees_answers(1)
    await expect(answer).to_contain_text(COVERED_ANSWER)
    assert await customer.opens_the_source(answer) in await answer.locator(".bubble").inner_text()
    await customer.is_told("You are talking with our assistant")


async def _assistant_hands_over(customer: Customer) -> None:
    await customer.writes(UNCOVERED)
    await customer.sees_answers(2)
    await customer.sees("A person will answer.")
    await customer.is_told("A person will answer here")
    await customer.finds_the_page_accessible()


async def _agent_takes_over_and_replies(agent: Agent, customer: Customer) -> None:
    await agent.opens_the_inbox()
    line = agent.page.locator("[data-conversation]")
    await expect(line.get_by_label("2 unread")).to_be_visible()
    await line.click()
    await agent.sees(UNCOVERED)
    await agent.finds_the_page_accessible()
    await agent.presses("Take over")
    await customer.sees("Ana Lopez joined the conversation.")
    await customer.is_told("You are talking with Ana Lopez")
    await agent.notes("Looks like a wholesale customer.")
    await agent.replies("Good question! Let me look that up for you.")
    await customer.sees("Good question! Let me look that up for you.")
    assert "Looks like a wholesale customer." not in " ".join(await customer.has_read())


async def _both_see_each_other_typing(agent: Agent, customer: Customer) -> None:
    await agent.starts_typing("It is ")
    await customer.sees("Ana Lopez is typing")
    await agent.replies("possible.")
    await customer.sees("It is possible.")
    await customer.starts_typing("Won")
    await expect(agent.page.get_by_role("log").get_by_text("is typing…")).to_be_visible()
    await customer.writes("derful, thanks!")
    await agent.sees("Wonderful, thanks!")


async def _resolved_and_written_again(agent: Agent, customer: Customer) -> None:
    await agent.presses("Resolve")
    await customer.is_told("Resolved. Write again at any time.")
    await agent.chooses("Resolved")
    await expect(agent.conversation("Wonderful, thanks!")).to_be_visible()
    await customer.writes("One more thing: can I change the colour?")
    await agent.chooses("Open")
    await expect(agent.conversation("One more thing")).to_be_visible()
    await customer.is_told("You are talking with Ana Lopez")
    await agent.opens("One more thing")
    assert [text for text in await agent.has_read() if text != "Looks like a wholesale customer."] == (
        await customer.has_read()
    ), "both read the same, except the note"
