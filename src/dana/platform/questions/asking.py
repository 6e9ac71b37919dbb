"""The asking side: a question goes to one of the service's processes, and to another when that one is gone.

ask ─► breaker ─► address ─► POST ── refused, cut, 503 ─► pause ─► the next address … until the deadline

Questions change nothing, so asking twice does no harm; that is how a restart over there goes unnoticed here.
"""

import asyncio
import itertools
import random
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import msgspec
import structlog

from dana.contracts.ids import OrgId
from dana.contracts.queries import Hit, Quote
from dana.platform.breakers import Breakers
from dana.platform.errors import PROBLEMS, Limited, Problem, Unavailable
from dana.platform.network import forbid_network_in_tx
from dana.platform.questions.directory import Directory
from dana.platform.questions.tokens import ServiceTokens
from dana.platform.questions.wire import DEADLINE_HEADER, KNOWLEDGE, PREFIX, Asked
from dana.platform.telemetry import request_context

DEADLINE_SECONDS = 10.0  # a customer waits; an answer takes milliseconds, a restart some seconds
CONNECT_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5
BREAKER_SECONDS = 5.0
MOST_CONNECTIONS = 100

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class Asking:
    """Asks services in other processes. Holds the connections and the breakers."""

    def __init__(
        self,
        by: str,
        directory: Directory,
        tokens: ServiceTokens,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        breakers: Breakers | None = None,
    ) -> None:
        self._by = by
        self._directory = directory
        self._tokens = tokens
        self._deadline_seconds = deadline_seconds
        self._breakers = breakers or Breakers(pause_seconds=BREAKER_SECONDS)
        self._turns = itertools.count()
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._client:
            await self._client.aclose()

    async def ask(self, service: str, question: str, about: Any, answer: type[Answer]) -> Answer:
        """Return the answer.

        Raises the Problem that the other side has met, or Unavailable when there is no answer in time.
        """
        forbid_network_in_tx()
        wait_seconds = self._breakers.wait_seconds(service)
        if wait_seconds:
            raise Unavailable(f"The service {service} has failed repeatedly.", wait_seconds)
        end = asyncio.get_running_loop().time() + self._deadline_seconds
        try:
            content = await self._until(end, service, f"{PREFIX}/{service}/{question}", about)
        except Unavailable as problem:
            self._breakers.failed(service)
            log.warning("question_unanswered", service=service, question=question, error=problem.detail)
            raise
        self._breakers.succeeded(service)
        return msgspec.json.decode(content, type=answer)

    async def _until(self, end: float, service: str, path: str, about: Any) -> bytes:
        """Try until the deadline; what the other side says about the question itself is final."""
        why = "nobody is there"
        body = msgspec.json.encode(about)
        for attempt in itertools.count():
            remaining = end - asyncio.get_running_loop().time()
            if remaining <= 0:
                break
            addresses = self._directory.addresses(service)
            if addresses:
                address = addresses[next(self._turns) % len(addresses)]
                try:
                    async with asyncio.timeout(remaining):
                        return await self._post(address + path, service, body, remaining)
                except TimeoutError:
                    break
                except (httpx.TransportError, _TryAgain) as error:
                    why = str(error) or type(error).__name__
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)
            await asyncio.sleep(min(remaining, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter
        raise Unavailable(f"The service {service} doesn't answer in time: {why}.")

    async def _post(self, url: str, service: str, body: bytes, remaining: float) -> bytes:
        headers = {
            "authorization": f"Bearer {self._tokens.make(self._by, service)}",
            "content-type": "application/json",
            DEADLINE_HEADER: str(int(remaining * 1000)),
        }
        if request_id := (request_context.get() or {}).get("request_id"):
            headers["x-request-id"] = request_id
        if self._client is None:
            self._client = _client()
        response = await self._client.post(url, content=body, headers=headers)
        if response.status_code == HTTPStatus.OK:
            return response.content
        problem = _problem(response)
        if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            problem = Unavailable(f"The service {service} met a bug; its log says which.")
        elif problem is None or isinstance(problem, Unavailable):
            raise _TryAgain(f"{response.status_code} {response.text[:200]}")
        raise problem


class RemoteKnowledge:
    """contracts.queries.Knowledge, asked of another process."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def search(self, org_id: OrgId, question: str, limit: int) -> list[Hit]:
        """Find the best passages, best first."""
        return await self._asking.ask(KNOWLEDGE, "search", Asked(org_id, question, limit), list[Hit])

    async def quote(self, org_id: OrgId, question: str, limit: int) -> list[Quote]:
        """Find the sentences that answer best, best first; empty when nothing is near."""
        return await self._asking.ask(KNOWLEDGE, "quote", Asked(org_id, question, limit), list[Quote])


class _TryAgain(RuntimeError):  # noqa: N818 - not a failure yet
    """The process asked can't answer now; another, or the same in a moment, may."""


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=MOST_CONNECTIONS),
        follow_redirects=False,
        trust_env=False,
    )


def _problem(response: httpx.Response) -> Problem | None:
    """Return the expected failure that the other side has met, as the same type; None for anything else."""
    try:
        told = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
    for problem in PROBLEMS:
        if problem.type() == told.get("type"):
            detail = str(told.get("detail"))
            return Limited(detail, 1.0) if problem is Limited else problem(detail)
    return None
