"""The people of the journeys: what agents do in the console and customers in the chat, in their words."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, expect

AXE = Path(__file__).parents[2] / "widget" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 30_000
PASSWORD = "correct horse battery staple"
IS_AT_REST = """() => new Promise((rested) => requestAnimationFrame(() => requestAnimationFrame(() => rested(
  document.getAnimations().every(({effect}) => effect.getComputedTiming().iterations === Infinity)))))"""
SERIOUS = {"serious", "critical"}
SHOW = """(state) => {
  Object.defineProperty(document, "visibilityState", {configurable: true, get: () => state});
  document.dispatchEvent(new Event("visibilitychange"));
}"""

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Person:
    """Somebody before a browser."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take down what must never happen on a page: an uncaught error, a violated content policy."""
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._listen(message.text))

    def _listen(self, text: str) -> None:
        if "Content Security Policy" in text or "Content-Security-Policy" in text:
            self.complaints.append(text)

    async def finds_the_page_accessible(self) -> None:
        """Check the page as it stands with axe: nothing serious may be found."""
        await self.page.wait_for_function(IS_AT_REST)
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate("axe.run({resultTypes: ['violations']})")
        serious = [
            f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]
        assert serious == [], "\n".join([self.page.url, *serious])

    async def looks_away(self) -> None:
        """Turn to another tab of the browser, as far as the page can tell."""
        await self.page.evaluate(SHOW, "hidden")

    async def looks_again(self) -> None:
        """Turn back to the page."""
        await self.page.evaluate(SHOW, "visible")

    def has_no_complaint(self) -> None:
        """Nothing broke behind the scenes."""
        assert self.complaints == []


class Customer(Person):
    """Somebody on a website with the chat on it."""

    @property
    def chat(self) -> Locator:
        """The open chat."""
        return self.page.get_by_role("dialog").first

    @property
    def messages(self) -> Locator:
        """What was said, by whomever."""
        return self.page.get_by_role("log", name="Messages")

    async def visits(self, address: str) -> None:
        """Open a page that has the chat, and open the chat."""
        await self.page.goto(address)
        await self.page.get_by_role("button", name=re.compile("^Open chat")).click()
        await expect(self.page.get_by_label("Write a message")).to_be_focused()

    async def writes(self, text: str) -> None:
        """Send a message with Enter."""
        await self.starts_typing(text)
        await self.page.keyboard.press("Enter")
        await expect(self.messages.locator(".customer .bubble", has_text=text).last).to_be_visible()

    async def starts_typing(self, text: str) -> None:
        """Type without sending."""
        await self.page.get_by_label("Write a message").press_sequentially(text, delay=5)

    async def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait until this was said."""
        await expect(self.messages.get_by_text(text).last).to_be_visible()

    async def is_told(self, text: str | re.Pattern[str]) -> None:
        """Read in the header who is on the other side."""
        await expect(self.chat.get_by_role("status").filter(has_text=text).first).to_be_visible()

    async def sees_answers(self, count: int) -> Locator:
        """Wait for the assistant's finished answers; returns the last one."""
        answers = self.messages.locator("li.message.assistant")
        await expect(answers).to_have_count(count)
        return answers.last

    async def opens_the_source(self, answer: Locator) -> str:
        """Open the source of an answer; returns the sentence marked in its passage."""
        await answer.get_by_role("list", name="Sources").get_by_role("button").first.click()
        marked = self.page.get_by_role("dialog").get_by_role("region").locator("mark")
        await expect(marked).to_be_visible()
        sentence = await marked.inner_text()
        await self.page.keyboard.press("Escape")
        await expect(marked).to_be_hidden()
        return sentence

    async def has_read(self) -> list[str]:
        """List what was said, activity lines left out."""
        return await self.messages.locator("li.message:not(.system) .bubble").all_inner_texts()

    async def reloads(self) -> None:
        """Reload the page; the chat stays open and the conversation comes back."""
        await self.page.reload()
        await expect(self.page.get_by_label("Write a message")).to_be_visible()


class Agent(Person):
    """Somebody who works in the console."""

    async def goes_to(self, name: str, title: str | None = None) -> None:
        """Follow a link of the main navigation."""
        await self.page.get_by_role("navigation").get_by_role("link", name=name).first.click()
        await expect(self.page.get_by_role("heading", level=1, name=title or name)).to_be_visible()

    async def signs_up(self, name: str, email: str, organization: str) -> None:
        """Create an organization."""
        await self.page.goto(f"{self.url}/signup")
        await self.page.get_by_label("Organization").fill(organization)
        await self.page.get_by_label("Your name").fill(name)
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label(re.compile("^Password")).fill(PASSWORD)
        await self.page.get_by_role("button", name="Create the organization").click()
        await expect(self.page.get_by_role("button", name="Your profile")).to_be_visible()

    async def signs_in(self, email: str) -> None:
        """Sign in with a password."""
        await self.page.goto(f"{self.url}/signin")
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label(re.compile("^Password")).fill(PASSWORD)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_role("button", name="Your profile")).to_be_visible()

    async def accepts(self, link: str, name: str) -> None:
        """Follow an invitation's link and join."""
        await self.page.goto(link)
        await self.page.get_by_label("Your name").fill(name)
        await self.page.get_by_label(re.compile("^Password")).fill(PASSWORD)
        await self.page.get_by_role("button", name="Join").click()
        await expect(self.page.get_by_role("button", name="Your profile")).to_be_visible()

    async def invites(self, email: str) -> str:
        """Invite a teammate; returns the link to send."""
        await self.goes_to("Team")
        await self.page.get_by_role("button", name="Invite").click()
        dialog = self.page.get_by_role("dialog", name="Invite a teammate")
        await dialog.get_by_label("E-mail address").fill(email)
        await dialog.get_by_role("button", name="Create the invitation").click()
        link = await dialog.get_by_role("region", name="Invitation link").inner_text()
        await dialog.get_by_role("button", name="Done").click()
        return link

    async def sees_all_searchable(self) -> None:
        """Wait in the knowledge until no document is underway, and none has failed."""
        await expect(self.page.locator("[data-document]").first).to_be_visible()
        await expect(self.page.locator("[data-document]:not([data-status=searchable])")).to_have_count(
            0, timeout=90_000
        )

    async def opens_the_inbox(self, tab: str = "Open") -> None:
        """Show the conversations of one status."""
        await self.page.goto(f"{self.url}/")
        await self.chooses(tab)

    async def chooses(self, tab: str) -> None:
        """Choose a status above the list."""
        await self.page.get_by_role("tab", name=re.compile(f"^{tab}")).click()

    def conversation(self, preview: str) -> Locator:
        """A line of the list, by the words it shows."""
        return self.page.locator("[data-conversation]").filter(has_text=preview)

    async def opens(self, preview: str = "") -> None:
        """Open the conversation whose line shows these words, or the only one."""
        await self.conversation(preview).click()
        await expect(self.page.get_by_role("log")).to_be_visible()

    async def searches(self, text: str) -> Locator:
        """Search with the keyboard, from anywhere; returns what is found."""
        await self.page.keyboard.press("/")
        box = self.page.get_by_role("textbox", name="Search conversations")
        await expect(box).to_be_focused()
        await box.fill(text)
        return self.page.get_by_role("list", name="Found messages").get_by_role("listitem")

    async def presses(self, name: str) -> None:
        """Press a button."""
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def replies(self, text: str) -> None:
        """Write a reply and send it with Enter."""
        await self.starts_typing(text)
        await self.page.keyboard.press("Enter")
        await self.sees(text)

    async def starts_typing(self, text: str) -> None:
        """Type a reply without sending it."""
        await self.page.get_by_role("textbox", name="Reply").press_sequentially(text, delay=5)

    async def notes(self, text: str) -> None:
        """Write a private note."""
        await self._writes_a("Private note")
        await self.page.get_by_role("textbox", name="Private note").fill(text)
        await self.presses("Add note")
        await self.sees(text)
        await self._writes_a("Reply")

    async def _writes_a(self, kind: str) -> None:
        await self.page.get_by_role("radiogroup", name="What to write").get_by_text(kind, exact=True).click()

    async def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait until this stands in the open conversation."""
        await expect(self.page.get_by_role("log").get_by_text(text).last).to_be_visible()

    async def has_read(self) -> list[str]:
        """List what was said in the open conversation, activity lines left out."""
        texts: Any = (
            await self.page.get_by_role("log").locator("article[data-seq] [class*=_text_]").all_inner_texts()
        )
        return list(texts)
