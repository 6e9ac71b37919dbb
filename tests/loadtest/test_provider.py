"""The simulator as a program of its own, and as a server that anybody's client understands."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from loadtest.provider import Simulator, running
from loadtest.provider.behaviours import BEHAVIOURS


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(Simulator(key="k", piece_seconds=0)) as address,
        httpx.AsyncClient(base_url=address, headers={"Authorization": "Bearer k"}) as client,
    ):
        yield client


def request(model: str = "dana-sim", *, stream: bool = False) -> dict[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hello?"}]}


async def test_it_answers_in_one_piece_where_no_stream_is_wanted(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/chat/completions", json=request())).json()
    assert answer["object"] == "chat.completion"
    assert json.loads(answer["choices"][0]["message"]["content"])["action"] == "reply"


async def test_it_streams_as_openai_does(client: httpx.AsyncClient) -> None:
    answer = await client.post("/chat/completions", json=request(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    payloads = re.findall(r"^data: (.+)$", answer.text, re.MULTILINE)
    assert payloads[-1] == "[DONE]"
    chunks = [json.loads(payload) for payload in payloads[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_wrong_key_a_wrong_model_and_nonsense_are_refused(client: httpx.AsyncClient) -> None:
    wrong = await client.post("/chat/completions", json=request(), headers={"Authorization": "Bearer x"})
    assert wrong.status_code == 401
    assert (await client.post("/chat/completions", json=request("gpt"))).status_code == 404
    assert (await client.post("/chat/completions", content=b"{")).status_code == 400
    assert (await client.get("/elsewhere")).status_code == 404


async def test_it_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    busy = await client.post("/chat/completions", json=request("dana-sim:busy"))
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "30")
    statuses = [
        (await client.post("/chat/completions", json=request("dana-sim:busy-twice"))).status_code
        for _ in range(4)
    ]
    assert statuses == [429, 429, 200, 429]


async def test_it_names_its_models(client: httpx.AsyncClient) -> None:
    names = {model["id"] for model in (await client.get("/models")).json()["data"]}
    assert len(names) == len(BEHAVIOURS)


async def test_it_runs_as_a_program() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.provider", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert program.stdout is not None
        line = (await asyncio.wait_for(program.stdout.readline(), 20)).decode()
        address = line.split()[-1]
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{address}/chat/completions", json=request())
        assert answer.status_code == 200
    finally:
        program.terminate()
        await asyncio.wait_for(program.communicate(), 10)
