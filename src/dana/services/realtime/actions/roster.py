"""The roster: what nodes tell each other through Valkey of who is there, and which nodes live.

    dana:node:NODE              "1", for SIGN_MS: a sign of life
    dana:presence:{ORG}:CHANNEL a hash of NODE/PERSON → kind, name, state

What a node says counts while it gives signs of life; who notices that it doesn't wipes it out. Each command
has one key, so that they go to a cluster, too. All calls raise Unavailable when Valkey is away.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

from dana.contracts.ids import OrgId
from dana.platform.errors import Unavailable
from dana.platform.valkey import Valkey

SIGN_MS = 6_000  # three missed signs, and a node is dead
FAREWELL_MS = 3_000  # of a node that stops, whose people are on their way to others
KEPT_MS = 2 * 60 * 1_000  # four rewritings; then it is of nodes that are long gone
ANSWER_SECONDS = 2.0
PORTION = 100  # commands at once: somebody else's turn between them
ENTRIES_PER_TURN = 1_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """What this node says of somebody in a channel."""

    org_id: OrgId
    channel: str
    person: str
    entry: bytes | None
    """None when they are gone."""


class Roster:
    """One node's hand in it."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self.node = uuid4().hex[:16]
        self._others: dict[str, bool] = {}  # whether they live, by the last look

    async def sign(self) -> bool:
        """Give a sign of life; returns whether the last one was still there."""
        before = await _answer(self._valkey.call("SET", _sign(self.node), "1", "GET", "PX", SIGN_MS))
        return before is not None

    async def say_farewell(self) -> None:
        """Let what this node has said count for a moment longer, so that nobody flickers who moves on."""
        await _answer(self._valkey.call("SET", _sign(self.node), "1", "PX", FAREWELL_MS))

    async def look_for_the_dead(self) -> frozenset[str]:
        """Return which of the nodes that were met have died since."""
        nodes = list(self._others)
        for some in _portions(nodes):
            answers = await _answers(self._valkey.call("EXISTS", _sign(node)) for node in some)
            self._others.update((node, bool(lives)) for node, lives in zip(some, answers, strict=True))
        dead = frozenset(node for node in nodes if not self._others[node])
        for node in dead:
            del self._others[node]
        return dead

    async def write(self, lines: list[Line]) -> list[Line]:
        """Write what is to stand there, and return the lines that Valkey lacked, or had of who is gone."""
        news = []
        for some in _portions(lines):
            answers = await _answers(self._write(line) for line in some)
            news += [line for line, changed in zip(some, answers, strict=True) if changed]
        return news

    async def read(self, org_id: OrgId, channel: str) -> dict[str, dict[str, bytes]]:
        """Return who is there, by the living node that says so, and wipe out what the dead have said."""
        key = _key(org_id, channel)
        found = await _answer(self._valkey.call("HGETALL", key))
        said: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        for number, (field, entry) in enumerate(found.items(), 1):
            node, _, person = field.decode().partition("/")
            said[node][person] = entry
            if number % ENTRIES_PER_TURN == 0:
                await asyncio.sleep(0)
        strangers = [node for node in said if node != self.node and node not in self._others]
        answers = await _answers(self._valkey.call("EXISTS", _sign(node)) for node in strangers)
        for node, lives in zip(strangers, answers, strict=True):
            if lives:
                self._others.setdefault(node, True)
            else:
                self._wipe(key, node, said.pop(node))
        return dict(said)

    async def _write(self, line: Line) -> bool:
        key, field = _key(line.org_id, line.channel), f"{self.node}/{line.person}"
        if line.entry is None:
            return bool(await self._valkey.call("HDEL", key, field))
        is_news = bool(await self._valkey.call("HSET", key, field, line.entry))
        self._valkey.send("PEXPIRE", key, KEPT_MS)
        return is_news

    def _wipe(self, key: str, node: str, people: Iterable[str]) -> None:
        for some in _portions(list(people)):
            self._valkey.send("HDEL", key, *(f"{node}/{person}" for person in some))


def _portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[at : at + PORTION] for at in range(0, len(items), PORTION))


async def _answer(call: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await call
    except TimeoutError:
        raise Unavailable("Valkey doesn't answer in time.") from None


async def _answers(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    answers: list[Any] = await _answer(asyncio.gather(*calls))
    return answers


def _sign(node: str) -> str:
    return f"dana:node:{node}"


def _key(org_id: OrgId, channel: str) -> str:
    return f"dana:presence:{{{org_id.hex}}}:{channel}"
