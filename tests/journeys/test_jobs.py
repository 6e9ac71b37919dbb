"""Long jobs: conversations come in, go out and are deleted while one watches; or one changes one's mind."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from tests.journeys.conftest import Meet
from tests.journeys.people import Agent
from tests.journeys.scene import Scene

CONVERSATIONS = 250
TOO_MANY = 40_000  # takes so long that one can cancel it, on any machine
A_WHILE_MS = 120_000  # a job rests between its chunks
WHEN = "2020-01-01T00:00:00Z"


def conversation(n: int) -> dict[str, Any]:
    name = {"name": f"Person {n}"}
    return {"type": "conversation", "external_id": f"c{n}", "contact": name, "created_at": WHEN}


def message(n: int) -> dict[str, Any]:
    return {
        "type": "message",
        "external_id": f"m{n}",
        "conversation_external_id": f"c{n}",
        "author": "customer",
        "author_name": f"Person {n}",
        "text": f"My lamp number {n} flickers",
        "created_at": WHEN,
    }


def written(folder: Path, name: str, lines: list[Any]) -> Path:
    path = folder / name
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def row(agent: Agent, kind: str) -> Locator:
    return agent.page.locator(f"[data-job={kind}_conversations]").first


async def starts(agent: Agent, item: str) -> Locator:
    """Choose a new job; returns its form."""
    await agent.presses("New job")
    await agent.page.get_by_role("menuitem", name=item).click()
    return agent.page.get_by_role("dialog", name=item.removesuffix("…"))


async def imports(agent: Agent, file: Path) -> None:
    form = await starts(agent, "Import conversations…")
    await agent.page.locator("input[type=file]").set_input_files(file)
    await form.get_by_role("button", name="Import").click()


async def test_conversations_come_in_go_out_and_are_deleted_under_ones_eyes(
    agent: Agent, meet: Meet[Agent], scene: Scene, tmp_path: Path
) -> None:
    page = agent.page
    await agent.signs_in(scene.email)
    await agent.goes_to("Jobs")
    await expect(page.get_by_role("heading", name="No job yet")).to_be_visible()
    await agent.finds_the_page_accessible()
    colleague = await meet(Agent)
    await colleague.signs_in(scene.email)
    await colleague.opens_the_inbox("Resolved")

    lines = [line for n in range(CONVERSATIONS) for line in (conversation(n), message(n))]
    await imports(agent, written(tmp_path, "old.jsonl", [*lines[:2], {"type": "riddle"}, *lines[2:]]))
    coming = row(agent, "import")
    await expect(coming).to_have_attribute("data-state", "done", timeout=A_WHILE_MS)
    await expect(coming).to_contain_text(f"{2 * CONVERSATIONS + 1} lines read")
    await coming.get_by_role("button", name="1 problem").click()
    await expect(page.get_by_role("list", name="Problems")).to_contain_text("Line 3")
    await expect(page.get_by_role("dialog")).to_have_css("opacity", "1")  # it has faded in
    await agent.finds_the_page_accessible()
    await page.keyboard.press("Escape")
    await expect(colleague.conversation("My lamp number").first).to_be_visible()

    form = await starts(agent, "Export conversations…")
    await form.get_by_role("button", name="Export").click()
    out = row(agent, "export")
    await expect(out).to_have_attribute("data-state", "done", timeout=A_WHILE_MS)
    await agent.finds_the_page_accessible()
    text = gzip.decompress(await _downloads(agent, out, "Download"))
    manifest = json.loads(await _downloads(agent, out, "Manifest"))
    assert text.count(b"\n") == manifest["lines"] == 2 * CONVERSATIONS
    for part in manifest["parts"]:
        piece = text[part["first_byte"] : part["first_byte"] + part["bytes"]]
        assert hashlib.sha256(piece).hexdigest() == part["sha256"]

    form = await starts(agent, "Delete old conversations…")
    await expect(form).to_have_css("opacity", "1")
    await agent.finds_the_page_accessible()
    await expect(form.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    await form.get_by_label("I want these conversations to be gone").check()
    await form.get_by_role("button", name="Delete", exact=True).click()
    await expect(row(agent, "delete")).to_have_attribute("data-state", "done", timeout=A_WHILE_MS)
    await expect(row(agent, "delete")).to_contain_text(f"{CONVERSATIONS} conversations deleted")
    await expect(colleague.page.locator("[data-conversation]")).to_have_count(0)
    assert await scene.conversations() == []


async def test_who_changes_their_mind_cancels(agent: Agent, scene: Scene, tmp_path: Path) -> None:
    await agent.signs_in(scene.email)
    await agent.goes_to("Jobs")
    await imports(agent, written(tmp_path, "many.jsonl", [conversation(n) for n in range(TOO_MANY)]))
    coming = row(agent, "import")
    await expect(coming).to_have_attribute("data-state", "running")
    await expect(coming.get_by_role("progressbar")).to_be_visible()
    await coming.get_by_role("button", name="Cancel").click()
    question = agent.page.get_by_role("dialog", name="Cancel this job?")
    await question.get_by_role("button", name="Cancel the job").click()
    await expect(coming).to_have_attribute("data-state", "cancelled")
    said = await coming.inner_text()
    assert "of 40,000 lines read" in said
    await agent.page.reload()
    await expect(coming).to_have_attribute("data-state", "cancelled")
    assert await coming.inner_text() == said


@pytest.mark.usefixtures("sample")
async def test_all_documents_are_indexed_again(agent: Agent, scene: Scene) -> None:
    await agent.signs_in(scene.email)
    await agent.goes_to("Knowledge")
    await agent.presses("Re-index")
    await agent.presses("Index again")
    again = agent.page.locator("[data-job=reindex_knowledge]")
    await expect(again).to_have_attribute("data-state", "done", timeout=A_WHILE_MS)
    await expect(again).to_contain_text("10 documents indexed")
    await agent.goes_to("Knowledge")
    await agent.sees_all_searchable()


async def _downloads(agent: Agent, job: Locator, button: str) -> bytes:
    async with agent.page.expect_download() as download:
        await job.get_by_role("button", name=button).click()
    return (await (await download.value).path()).read_bytes()
