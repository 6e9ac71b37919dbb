"""Knowledge: files become searchable, or say what is wrong with them; deleted ones are gone."""

from playwright.async_api import FilePayload, expect

from tests.journeys.people import Agent
from tests.journeys.scene import Scene

ARTICLE = b"""# We buy back

Bring an old backpack to our shop in Porto. For a used backpack in good condition we pay 35 euros as a gift
card. We clean it, mend it, and sell it again.
"""
QUESTION = "How much do you pay for a used backpack?"
ANSWER = "we pay 35 euros"


async def test_documents_are_uploaded_searched_and_deleted(scene: Scene, agent: Agent) -> None:
    page = agent.page
    await agent.signs_in(scene.email)
    await agent.goes_to("Knowledge")
    files: list[FilePayload] = [
        {"name": "buyback.md", "mimeType": "text/markdown", "buffer": ARTICLE},
        {"name": "empty.pdf", "mimeType": "application/pdf", "buffer": b""},
        {"name": "broken.docx", "mimeType": "application/octet-stream", "buffer": b"not a document at all"},
    ]
    await page.locator("input[type=file]").first.set_input_files(files)
    buyback = page.locator("[data-document]").filter(has_text="buyback.md")
    await expect(buyback).to_have_attribute("data-status", "searchable")
    for name in ("empty.pdf", "broken.docx"):
        await expect(page.get_by_text(name).first).to_be_visible()
    await agent.finds_the_page_accessible()

    await _searches(agent, QUESTION)
    found = page.get_by_role("status").filter(has_text="The assistant would answer")
    await expect(found).to_contain_text(ANSWER)

    await page.get_by_role("tab", name="Documents").click()
    await buyback.get_by_role("button", name="More for").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(buyback).to_have_count(0)
    await page.reload()
    await _searches(agent, QUESTION)
    await expect(page.get_by_text("passages in").or_(page.get_by_text("Nothing found")).first).to_be_visible()
    await expect(page.get_by_text(ANSWER)).to_have_count(0)


async def _searches(agent: Agent, question: str) -> None:
    await agent.page.get_by_role("tab", name="Test the search").click()
    await agent.page.get_by_label("A customer's question").fill(question)
    await agent.presses("Search")
