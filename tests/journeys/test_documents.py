"""Knowledge: files become searchable, or say what is wrong with them; deleted ones are gone."""

from playwright.async_api import FilePayload, expect

from tests.journeys.people import Agent
from tests.journeys.scene import Scene

ARTICLE = b"""# Repairs

Our workshop repairs every lamp we have ever sold. A repair takes nine working days and costs a flat fee of
23 euros. Bring the lamp to the workshop in Porto, or send it in its original box.
"""


async def test_documents_are_uploaded_searched_and_deleted(scene: Scene, agent: Agent) -> None:
    page = agent.page
    await agent.signs_in(scene.email)
    await agent.goes_to("Knowledge")
    files: list[FilePayload] = [
        {"name": "repairs.md", "mimeType": "text/markdown", "buffer": ARTICLE},
        {"name": "empty.pdf", "mimeType": "application/pdf", "buffer": b""},
        {"name": "broken.docx", "mimeType": "application/octet-stream", "buffer": b"not a document at all"},
    ]
    await page.locator("input[type=file]").first.set_input_files(files)
    repairs = page.locator("[data-document]").filter(has_text="repairs.md")
    await expect(repairs).to_have_attribute("data-status", "searchable")
    for name in ("empty.pdf", "broken.docx"):
        await expect(page.get_by_text(name).first).to_be_visible()
    await agent.finds_the_page_accessible()

    await _searches(agent, "How long does a repair take?")
    found = page.get_by_role("status").filter(has_text="The assistant would answer")
    await expect(found).to_contain_text("nine working days")

    await page.get_by_role("tab", name="Documents").click()
    await repairs.get_by_role("button", name="More for").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(repairs).to_have_count(0)
    await page.reload()
    await _searches(agent, "How long does a repair take?")
    await expect(page.get_by_text("passages in").or_(page.get_by_text("Nothing found"))).to_be_visible()
    await expect(page.get_by_text("nine working days")).to_have_count(0)


async def _searches(agent: Agent, question: str) -> None:
    await agent.page.get_by_role("tab", name="Test the search").click()
    await agent.page.get_by_label("A customer's question").fill(question)
    await agent.presses("Search")
