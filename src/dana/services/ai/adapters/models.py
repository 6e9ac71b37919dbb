"""Any server that speaks OpenAI's chat completions, asked for a structured answer that streams.

ask ─► breaker ─► try ── before the first word: 429, 5xx, no connection ─► pause, try again (bounded)
                   └──── after it: no second try; the caller ends in a hand-over
"""

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from dana.platform.breakers import Breakers
from dana.platform.network import forbid_network_in_tx
from dana.services.ai.adapters.failures import ModelFailure, PassingFailure
from dana.services.ai.adapters.network import Target, reachable
from dana.services.ai.adapters.sse import OversizedLineError, event_payloads
from dana.services.ai.models.assistant import Provider

ANSWER_TOKENS = 800
ANSWER_CHARACTERS = 20_000  # a server that goes on beyond this is broken
ERROR_BYTES = 4000
FINISHED_WELL = ("stop", "tool_calls", None)
TOO_MANY, NOT_UNDERSTOOD, REFUSED = 429, (400, 422), (401, 403)
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a model server may take."""

    connect_seconds: float = 4.0
    first_word_seconds: float = 12.0
    stall_seconds: float = 8.0
    total_seconds: float = 45.0
    tries: int = 3
    first_pause_seconds: float = 0.4
    longest_pause_seconds: float = 5.0
    """A server that asks for a longer pause gets none: the customer is waiting."""


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    error: Any = None


class ModelServers:
    """Asks model servers. Holds the connections and the breakers."""

    def __init__(
        self,
        *,
        is_private_allowed: bool,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._is_private_allowed = is_private_allowed
        self._patience = patience or Patience()
        self._breakers = Breakers()
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(None, connect=self._patience.connect_seconds),
            limits=httpx.Limits(max_connections=500, max_keepalive_connections=50),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def complete(
        self,
        provider: Provider,
        messages: list[dict[str, str]],
        schema: dict[str, Any],
        on_words: Callable[[str], None],
    ) -> str:
        """Return the whole answer, after calling `on_words` with each piece of it; raises ModelFailure."""
        forbid_network_in_tx()
        server = (provider.base_url, provider.model, provider.api_key)
        wait_seconds = self._breakers.wait_seconds(server)
        if wait_seconds:
            raise ModelFailure(f"The model server failed repeatedly; trying again in {wait_seconds:.0f} s.")
        try:
            answer = await self._with_retries(provider, messages, schema, on_words)
        except ModelFailure:
            self._breakers.failed(server)
            raise
        self._breakers.succeeded(server)
        return answer

    async def _with_retries(
        self,
        provider: Provider,
        messages: list[dict[str, str]],
        schema: dict[str, Any],
        on_words: Callable[[str], None],
    ) -> str:
        end = asyncio.get_running_loop().time() + self._patience.total_seconds
        body = _request(provider, messages, schema)
        for attempt in range(1, self._patience.tries + 1):
            reading = _Reading(on_words, self._patience, end)
            try:
                return await self._try(provider, body, reading)
            except _SchemaNotUnderstoodError:
                body = {name: value for name, value in body.items() if name != "response_format"}
            except PassingFailure as failure:
                pause = self._pause_seconds(attempt, failure)
                if attempt == self._patience.tries or pause is None:
                    raise ModelFailure(failure.reason) from None
                await asyncio.sleep(pause)
        raise ModelFailure("The model server does not understand the request.")

    async def _try(self, provider: Provider, body: dict[str, Any], reading: "_Reading") -> str:
        url = f"{provider.base_url.strip().rstrip('/')}/chat/completions"
        try:
            async with reading.deadline:
                target = await reachable(url, is_private_allowed=self._is_private_allowed)
                async with self._client.stream(
                    "POST",
                    target.url,
                    json=body,
                    headers=_headers(provider, target),
                    extensions=target.extensions,
                ) as response:
                    await _check(response, has_schema="response_format" in body)
                    return await reading.read(response)
        except TimeoutError:
            if reading.text:
                raise reading.failure("The model server stopped in the middle of its answer.") from None
            # No second try: the customer has waited long enough.
            raise ModelFailure("The model server did not answer in time.") from None
        except httpx.HTTPError:
            if reading.text:
                raise reading.failure("The connection to the model server broke.") from None
            raise PassingFailure("The model server can't be reached.") from None
        except (OversizedLineError, msgspec.DecodeError):
            raise reading.failure("The model server's answer can't be read.") from None

    def _pause_seconds(self, attempt: int, failure: PassingFailure) -> float | None:
        longest = self._patience.longest_pause_seconds
        if failure.after_seconds is not None:
            return failure.after_seconds if failure.after_seconds <= longest else None
        pause = self._patience.first_pause_seconds * 2 ** (attempt - 1)
        return min(longest, random.uniform(pause / 2, pause))  # noqa: S311 - jitter is no secret


class _SchemaNotUnderstoodError(Exception):
    """The server knows no structured answers; the prompt asks for them in words anyway."""


class _Reading:
    """One answer being read, with its deadlines: the first word, then each next, and the whole."""

    def __init__(self, on_words: Callable[[str], None], patience: Patience, end: float) -> None:
        self._on_words = on_words
        self._patience = patience
        self._end = end
        self._finish: str | None = None
        self._is_finished = False
        self.text = ""
        now = asyncio.get_running_loop().time()
        self.deadline = asyncio.timeout_at(min(end, now + patience.first_word_seconds))

    async def read(self, response: httpx.Response) -> str:
        """Read all of it; raises ModelFailure when it is cut or refused."""
        if "text/event-stream" in response.headers.get("content-type", ""):
            async for payload in event_payloads(response.aiter_bytes()):
                if payload.strip() == "[DONE]":
                    self._is_finished = True
                    break
                self._take(payload)
        else:
            self._take((await response.aread()).decode("utf-8", "replace"))
        if not self._is_finished:
            raise self.failure("The model server's answer was cut.")
        if self._finish not in FINISHED_WELL:
            raise self.failure(f"The model server ended early ({self._finish}).")
        return self.text

    def failure(self, reason: str) -> ModelFailure:
        """Build the failure that fits how far it came."""
        return ModelFailure(reason, has_started=True) if self.text else PassingFailure(reason)

    def _take(self, payload: str) -> None:
        chunk = msgspec.json.decode(payload, type=_Chunk)
        if chunk.error is not None:
            raise self.failure("The model server reported an error.")
        for choice in chunk.choices[:1]:
            words = choice.delta or choice.message
            if choice.finish_reason is not None:
                self._finish, self._is_finished = choice.finish_reason, True
            if words is not None and words.content:
                self._add(words.content)

    def _add(self, words: str) -> None:
        self.text += words
        if len(self.text) > ANSWER_CHARACTERS:
            raise self.failure("The model server's answer has no end.")
        now = asyncio.get_running_loop().time()
        self.deadline.reschedule(min(self._end, now + self._patience.stall_seconds))
        self._on_words(words)


def _request(provider: Provider, messages: list[dict[str, str]], schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": provider.model,
        "messages": messages,
        "stream": True,
        "temperature": 0,
        "max_tokens": ANSWER_TOKENS,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "decision", "strict": True, "schema": schema},
        },
    }


def _headers(provider: Provider, target: Target) -> dict[str, str]:
    headers = {"Accept": "text/event-stream", "User-Agent": "Dana", **target.headers}
    if provider.api_key:
        headers["Authorization"] = f"Bearer {provider.api_key}"
    return headers


async def _check(response: httpx.Response, *, has_schema: bool) -> None:
    """Turn a refusal into the failure it is. What the server says is not shown: it may repeat the key."""
    status = response.status_code
    if status == httpx.codes.OK:
        return
    if status == TOO_MANY:
        raise PassingFailure("The model server is busy (429).", after_seconds=_retry_after(response))
    if status >= SERVER_ERROR:
        raise PassingFailure(f"The model server failed ({status}).", after_seconds=_retry_after(response))
    if status in REFUSED:
        raise ModelFailure(f"The model server refused the API key ({status}).")
    if status in NOT_UNDERSTOOD and has_schema and await _mentions_schema(response):
        raise _SchemaNotUnderstoodError
    raise ModelFailure(f"The model server refused the request ({status}); check the address and the model.")


async def _mentions_schema(response: httpx.Response) -> bool:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ERROR_BYTES:
            break
    return re.search(rb"response_format|json_schema|schema", body) is not None


def _retry_after(response: httpx.Response) -> float | None:
    """Read the pause the server asks for, in seconds; its other form, a date, is left out."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if re.fullmatch(r"\d{1,6}(?:\.\d+)?", asked) else None
