"""What has happened before a journey begins, made through the API, and the truth to compare screens with."""

import asyncio
import secrets
import time
from types import TracebackType
from typing import Any, Self

import httpx

from tests.journeys.people import PASSWORD

INDEXING_SECONDS = 90.0


class Scene:
    """An organization of its own for one journey."""

    def __init__(self, url: str) -> None:
        self.email = f"ana-{secrets.token_hex(4)}@example.com"
        self.public_key = ""
        self.inbox_id = ""
        self._url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=30)

    async def __aenter__(self) -> Self:
        """Open the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        await self._http.aclose()

    @property
    def demo_path(self) -> str:
        """Where the demo page of the inbox lies."""
        return f"/demo/{self.public_key}"

    @property
    def demo_page(self) -> str:
        """The address of the inbox's demo page."""
        return self._url + self.demo_path

    async def sign_up(self) -> None:
        """Ana Lopez founds Lumen."""
        body = {"email": self.email, "password": PASSWORD, "name": "Ana Lopez", "organization": "Lumen"}
        session = await self._ask("POST", "/api/v1/auth/signup", body)
        self._http.headers["Authorization"] = f"Bearer {session['access_token']}"

    async def add_sample(self) -> None:
        """Add the sample help centre and wait until all of it is searchable."""
        await self._ask("POST", "/api/v1/knowledge/sample")
        deadline = time.monotonic() + INDEXING_SECONDS
        while True:
            documents = (await self._ask("GET", "/api/v1/knowledge/documents"))["items"]
            states = {document["status"] for document in documents}
            if states == {"searchable"}:
                return
            assert "failed" not in states, documents
            assert time.monotonic() < deadline, f"still not searchable: {states}"
            await asyncio.sleep(0.2)

    async def add_inbox(self, **settings: Any) -> None:
        """Open an inbox for the website."""
        usual = {"name": "Lumen support", "channel": "web_widget", "greeting": "Hello! Ask us anything."}
        inbox = await self._ask("POST", "/api/v1/inboxes", {**usual, **settings})
        self.public_key, self.inbox_id = inbox["public_key"], inbox["id"]

    async def put_assistant(self, **changes: Any) -> None:
        """Change the assistant's settings."""
        settings = await self._ask("GET", "/api/v1/assistant")
        await self._ask("PUT", "/api/v1/assistant", {**settings, **changes})

    async def conversations(self) -> list[dict[str, Any]]:
        """List the inbox's conversations."""
        page = await self._ask("GET", f"/api/v1/conversations?inbox_id={self.inbox_id}")
        items: list[dict[str, Any]] = page["items"]
        return items

    async def said(self, conversation_id: str) -> list[str]:
        """List what was said in a conversation, as it is stored; activity lines left out."""
        page = await self._ask("GET", f"/api/v1/conversations/{conversation_id}/messages?limit=100")
        seqs = [message["seq"] for message in page["items"]]
        assert seqs == list(range(1, len(seqs) + 1)), f"the sequence has a gap or a double: {seqs}"
        return [message["text"] for message in page["items"] if message["author"] != "system"]

    async def _ask(self, method: str, path: str, body: object | None = None) -> Any:
        response = await self._http.request(method, path, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()
