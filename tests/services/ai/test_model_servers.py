"""The adapter of OpenAI-compatible servers, against one that misbehaves in every way we know."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from dana.platform.breakers import FAILURES_TO_OPEN, PAUSE_SECONDS, Breakers
from dana.platform.network import NetworkInTransactionError, open_transactions
from dana.services.ai.adapters.failures import ModelFailure
from dana.services.ai.adapters.models import ModelServers
from dana.services.ai.adapters.network import reachable
from dana.services.ai.adapters.sse import OversizedLineError, event_payloads
from dana.services.ai.models.assistant import Provider, ProviderKind
from dana.services.ai.models.drafts import DECISION_SCHEMA
from loadtest.provider import Simulator

PROMPT = """Passages:
==0011==
[1] Returns
You can return any item within 30 days. Refunds are paid within 5 business days.
==0011==

The customer's question:
==0011==
Within how many days can I return an item?
==0011=="""
MESSAGES = [{"role": "system", "content": "Answer."}, {"role": "user", "content": PROMPT}]


def provider(base_url: str, behaviour: str = "", api_key: str = "") -> Provider:
    model = f"dana-sim:{behaviour}" if behaviour else "dana-sim"
    return Provider(kind=ProviderKind.OPENAI, base_url=base_url, model=model, api_key=api_key)


async def ask(models: ModelServers, server: Provider) -> tuple[str, list[str]]:
    pieces: list[str] = []
    answer = await models.complete(server, MESSAGES, DECISION_SCHEMA, pieces.append)
    return answer, pieces


@pytest.mark.parametrize("behaviour", ["", "slow", "busy-twice", "failing-once", "no-schema", "whole"])
async def test_answers_come_through(models: ModelServers, base_url: str, behaviour: str) -> None:
    answer, pieces = await ask(models, provider(base_url, behaviour))
    assert json.loads(answer) == {
        "action": "reply",
        "sources": [1],
        "text": "You can return any item within 30 days.",
    }
    assert "".join(pieces) == answer
    assert len(pieces) > 5 or behaviour == "whole"


@pytest.mark.parametrize(
    ("behaviour", "reason", "has_started"),
    [
        ("silent", "did not answer in time", False),
        ("stall", "stopped in the middle", True),
        ("busy", "busy", False),
        ("failing", "failed (500)", False),
        ("broken", "can't be read", True),
        ("error", "reported an error", True),
        ("cut", "broke", True),
        ("lengthy", "ended early (length)", True),
        ("unheard-of", "refused the request (404)", False),
    ],
)
async def test_failures_are_told_apart(
    models: ModelServers, base_url: str, behaviour: str, reason: str, has_started: bool
) -> None:
    with pytest.raises(ModelFailure) as failure:
        await ask(models, provider(base_url, behaviour))
    assert reason in failure.value.reason
    assert failure.value.has_started is has_started


async def test_a_wrong_key_is_refused_at_once(
    models: ModelServers, simulator: Simulator, base_url: str
) -> None:
    simulator.key = "right"
    assert (await ask(models, provider(base_url, api_key="right")))[0]
    with pytest.raises(ModelFailure, match="API key") as failure:
        await ask(models, provider(base_url, api_key="wrong"))
    assert "wrong" not in failure.value.reason


async def test_nobody_there_is_a_failure_too(models: ModelServers) -> None:
    with pytest.raises(ModelFailure, match="can't be reached"):
        await ask(models, provider("http://127.0.0.1:9/v1"))
    with pytest.raises(ModelFailure, match="name can't be found"):
        await ask(models, provider("http://no-such-host.invalid/v1"))


async def test_a_server_that_fails_again_and_again_is_left_alone(
    models: ModelServers, simulator: Simulator, base_url: str
) -> None:
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(ModelFailure):
            await ask(models, provider(base_url, "lengthy"))
    asked = len(simulator.seen)
    started = time.perf_counter()
    with pytest.raises(ModelFailure, match="failed repeatedly"):
        await ask(models, provider(base_url, "lengthy"))
    assert len(simulator.seen) == asked
    assert time.perf_counter() - started < 0.1
    assert (await ask(models, provider(base_url)))[0], "another model of the server is not affected"


def test_after_its_pause_a_breaker_lets_one_request_try() -> None:
    now = 0.0
    breakers = Breakers(clock=lambda: now)
    for _ in range(FAILURES_TO_OPEN):
        breakers.failed("server")
    assert breakers.wait_seconds("server") == PAUSE_SECONDS
    now = PAUSE_SECONDS
    assert breakers.wait_seconds("server") == 0
    assert breakers.wait_seconds("server") == PAUSE_SECONDS, "the others wait for the one that tries"
    breakers.succeeded("server")
    assert breakers.wait_seconds("server") == 0


async def test_no_call_while_a_transaction_is_open(models: ModelServers, base_url: str) -> None:
    token = open_transactions.set(1)
    try:
        with pytest.raises(NetworkInTransactionError):
            await ask(models, provider(base_url))
    finally:
        open_transactions.reset(token)


async def test_a_cancelled_answer_closes_its_connection(models: ModelServers, base_url: str) -> None:
    asking = asyncio.create_task(ask(models, provider(base_url, "slow")))
    await asyncio.sleep(0.1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    connections = models._client._transport._pool.connections  # type: ignore[attr-defined]
    assert all(connection.is_idle() or connection.is_closed() for connection in connections)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://localhost/v1",
        "http://10.1.2.3/v1",
        "http://192.168.0.9/v1",
        "http://[::1]/v1",
        "http://[::ffff:10.0.0.1]/v1",
        "http://[fd00::1]/v1",
        "http://0/v1",
        "http://2130706433/v1",
        "http://100.64.0.1/v1",
    ],
)
async def test_private_networks_are_refused_where_they_are_not_allowed(url: str) -> None:
    with pytest.raises(ModelFailure, match=r"private|not allowed"):
        await reachable(url, is_private_allowed=False)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://[fe80::1]/v1", "http://0.0.0.0/v1"])
async def test_some_addresses_are_refused_everywhere(url: str) -> None:
    with pytest.raises(ModelFailure, match="not allowed"):
        await reachable(url, is_private_allowed=True)


async def test_the_checked_address_is_the_called_one() -> None:
    target = await reachable("https://localhost:8443/v1/chat/completions", is_private_allowed=True)
    assert target.url == "https://127.0.0.1:8443/v1/chat/completions"
    assert target.headers == {"Host": "localhost:8443"}
    assert target.extensions == {"sni_hostname": "localhost"}


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_events_are_read_however_they_are_cut(size: int) -> None:
    stream = (
        ": hi\r\n\r\ndata: one\r\ndata: more\r\n\r\nevent: x\ndata:zwölf\n\nretry: 5\n\ndata: last".encode()
    )

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(stream), size):
            yield stream[at : at + size]

    assert [payload async for payload in event_payloads(chunks())] == ["one\nmore", "zwölf", "last"]


async def test_a_line_without_an_end_is_an_end() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    with pytest.raises(OversizedLineError):
        async for _ in event_payloads(chunks()):
            pass
