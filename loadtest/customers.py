"""Customers at the widget, in an open model: they come at a steady rate, however slow the answers are.

Each begins a conversation, asks one question of the sample help centre, and waits for the assistant.
`python -m loadtest.customers --url http://localhost:8080 --per-second 5 --seconds 30` signs up an
organization of its own and prints one JSON object as its last line; it fails when an answer was lost or came
twice.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx

QUESTIONS = (
    "How long does delivery take?",
    "Can I return my order?",
    "How do I pay?",
    "Do you ship abroad?",
    "Who won the football world cup in 1954?",
    "Hello!",
    "I want to talk to a person",
)
FIRST_LOOK_SECONDS = 0.3
LONGEST_LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
INDEXING_SECONDS = 120.0


@dataclass
class Tally:
    """What the customers saw."""

    waits: list[float] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0

    def as_json(self, arguments: argparse.Namespace) -> dict[str, Any]:
        """Sum up."""
        waits = sorted(self.waits)
        return {
            "per_second": arguments.per_second,
            "customers": len(waits) + self.lost + sum(self.failures.values()),
            "answered": len(waits),
            "lost": self.lost,
            "duplicated": self.doubled,
            "failures": dict(self.failures),
            "actions": dict(self.actions),
            "p50_ms": _percentile(waits, 0.5),
            "p95_ms": _percentile(waits, 0.95),
            "p99_ms": _percentile(waits, 0.99),
        }


async def main() -> int:
    """Run the scenario; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.customers", description=__doc__)
    parser.add_argument("--url", default="http://localhost:8080")
    parser.add_argument("--per-second", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    tally = Tally()
    limits = httpx.Limits(max_connections=2000, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=arguments.url, limits=limits, timeout=20) as http:
        public_key = await _furnish(http)
        customers = []
        for number in range(int(arguments.per_second * arguments.seconds)):
            question = QUESTIONS[number % len(QUESTIONS)]
            customers.append(asyncio.create_task(_visit(http, public_key, question, tally)))
            await asyncio.sleep(random.expovariate(arguments.per_second))
        await asyncio.gather(*customers)
    print(json.dumps(tally.as_json(arguments)))
    return 1 if tally.lost or tally.doubled or tally.failures or not tally.waits else 0


async def _furnish(http: httpx.AsyncClient) -> str:
    """Sign an organization up with the sample help centre and an inbox; returns the inbox's public key."""
    signup = {
        "email": f"load-{uuid4().hex}@example.test",
        "password": uuid4().hex,
        "name": "Load",
        "organization": "Load test",
    }
    session = (await http.post("/api/v1/auth/signup", json=signup)).raise_for_status().json()
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    (await http.post("/api/v1/knowledge/sample", headers=headers)).raise_for_status()
    async with asyncio.timeout(INDEXING_SECONDS):
        while True:
            page = (await http.get("/api/v1/knowledge/documents", headers=headers)).raise_for_status().json()
            if page["items"] and all(each["status"] == "searchable" for each in page["items"]):
                break
            await asyncio.sleep(0.5)
    inbox = {"name": "Load", "channel": "web_widget"}
    return str((await http.post("/api/v1/inboxes", json=inbox, headers=headers)).json()["public_key"])


async def _visit(http: httpx.AsyncClient, public_key: str, question: str, tally: Tally) -> None:
    """Ask one question and wait for its answer."""
    try:
        begun = await http.post(f"/api/v1/widget/{public_key}/conversations", json={})
        body = begun.raise_for_status().json()
        path = f"/api/v1/widget/conversations/{body['conversation_id']}/messages"
        headers = {"Authorization": f"Bearer {body['token']}", "Idempotency-Key": uuid4().hex}
        asked = (await http.post(path, json={"text": question}, headers=headers)).raise_for_status().json()
        answers = await _answers(http, path, headers)
        if not answers:
            tally.lost += 1
            return
        tally.waits.append(_seconds_between(asked, answers[0]))
        tally.actions[answers[0]["action"]] += 1
        await asyncio.sleep(1)
        tally.doubled += len(await _read(http, path, headers)) > 1
    except httpx.HTTPStatusError as error:
        tally.failures[str(error.response.status_code)] += 1
    except httpx.HTTPError as error:
        tally.failures[type(error).__name__] += 1


async def _answers(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    pause = FIRST_LOOK_SECONDS
    end = time.perf_counter() + PATIENCE_SECONDS
    while time.perf_counter() < end:
        await asyncio.sleep(pause)
        answers = await _read(http, path, headers)
        if answers:
            return answers
        pause = min(LONGEST_LOOK_SECONDS, pause * 1.5)
    return []


async def _read(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Return the assistant's answers, without the greeting."""
    page = (await http.get(path, headers=headers)).raise_for_status().json()
    return [message for message in page["items"] if message["author"] == "assistant" and message["action"]]


def _seconds_between(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    """Compare the server's times of two messages: looking now and then is too coarse a clock."""
    first, last = (datetime.fromisoformat(message["created_at"]) for message in (earlier, later))
    return (last - first).total_seconds()


def _percentile(ordered: list[float], part: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))] * 1000, 1)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
