"""How long do the inbox and its search take with 20,000 conversations, and how long with two million?

    python -m benchmarks.inbox          loads for some minutes, then measures for half a minute

One Dana with two shards: on each an organization that owns half of all conversations there. Both are asked
the same in turn, through the gateway, so that both meet the same machine.
"""

import asyncio
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncpg

from benchmarks import crowd
from benchmarks.client import Client
from benchmarks.dana import running
from dana.cli.installation import installation
from dana.contracts.ids import OrgId
from dana.platform.database import address
from dana.platform.http import encode_cursor
from dana.platform.servers import CATALOG, shard_addresses

SIZES = (20_000, 2_000_000)
ROUNDS = 25
TIMES = 6  # of each question in a round; the searches are asked once each
PAGE = 30  # as the console asks for
MOST_TIMES_SLOWER = 1.5

# Rare, in ten messages, of middling frequency, frequent, very frequent, and in other languages and scripts.
WORDS = ("xylophone", "kilimanjaro", "staf", "phone", "the", "что", "返品", "nowhere")
NEVER_TOGETHER = "phone regards"  # the worst case: each in every tenth message; shown, not counted
PAIRS = ("kilimanjaro the", "phone order", "the order", "sent from my phone")


@dataclass(slots=True)
class Side:
    """One of the two organizations, and what was measured of it."""

    conversations: int
    org_id: UUID
    user_id: UUID
    email: str
    shard: str
    inbox_id: str = ""
    token: str = ""
    deep_cursor: str = ""
    searches: list[str] = field(default_factory=list)
    took_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def questions(self) -> Iterator[tuple[str, str]]:
        """Name each request and what it counts as."""
        listed = f"/api/v1/conversations?limit={PAGE}"
        for _ in range(TIMES):
            yield "first_page", f"{listed}&status=open"
            yield "deep_page", f"{listed}&status=resolved&cursor={self.deep_cursor}"
        for query in self.searches:
            yield "search", f"/api/v1/conversations/search?limit={PAGE}&q={quote(query)}"

    def summary(self) -> dict[str, Any]:
        """Return the figures."""
        median = {kind: round(statistics.median(took), 2) for kind, took in self.took_ms.items()}
        first = sorted(self.took_ms["first_page"])
        return {
            "conversations": self.conversations,
            "first_page_p50_ms": median["first_page"],
            "first_page_p99_ms": round(first[int(len(first) * 0.99)], 2),
            "deep_page_p50_ms": median["deep_page"],
            "search_p50_ms": median["search"],
        }


PASSWORD = "correct horse battery staple"  # noqa: S105 - of a Dana that lives for some minutes


async def signed_up(client: Client, catalog: asyncpg.Connection) -> list[Side]:
    """Sign up organizations until there is one on each of two shards."""
    sides: dict[str, Side] = {}
    while len(sides) < len(SIZES):
        email = f"{uuid4().hex}@bench.example"
        who = {"email": email, "password": PASSWORD, "name": "Ana", "organization": "Bench"}
        session = await client.call("POST", "/api/v1/auth/signup", who)
        org_id, user_id = UUID(session["organization_id"]), UUID(session["user"]["user_id"])
        shard = await catalog.fetchval("select shard from platform.organizations where id = $1", org_id)
        if shard not in sides:
            body = {"name": "Web", "channel": "web_widget", "is_assistant_enabled": False}
            inbox = await client.call("POST", "/api/v1/inboxes", body, session["access_token"])
            size = SIZES[len(sides)]
            sides[shard] = Side(size, org_id, user_id, email, shard, inbox_id=inbox["id"])
    return list(sides.values())


async def fill(side: Side, shard: str) -> None:
    """Load one shard."""
    started = time.perf_counter()
    owner = crowd.Owner(OrgId(side.org_id), UUID(side.inbox_id), side.user_id)
    await crowd.fill(shard, side.conversations, owner)
    print(f"{side.conversations:,} conversations loaded in {time.perf_counter() - started:.0f} s", flush=True)


async def prepare(client: Client, side: Side, shard: str) -> None:
    """Sign in again, as loading takes long, and choose the deep page and the addresses to look for."""
    login = {"email": side.email, "password": PASSWORD}
    side.token = (await client.call("POST", "/api/v1/auth/login", login))["access_token"]
    connection = await asyncpg.connect(shard)
    span = await connection.fetchrow(
        "select min(created_at) as first, max(created_at) as last from conversations.conversations"
    )
    rows = await connection.fetch(
        "select email from conversations.contacts where org_id = $1 order by id offset $2 limit 2",
        side.org_id,
        side.conversations // 5,
    )
    await connection.close()
    assert span is not None  # noqa: S101 - the load has just made them
    middle: datetime = span["first"] + (span["last"] - span["first"]) / 2
    side.deep_cursor = encode_cursor(middle.isoformat(), UUID(int=2**128 - 1))
    side.searches = [*WORDS, *PAIRS, *(row["email"] for row in rows)]


async def measure(client: Client, sides: list[Side]) -> None:
    """Ask both sides in turn; the first round only warms up."""
    for number in range(ROUNDS + 1):
        for (kind, path), (_, other) in zip(sides[0].questions(), sides[1].questions(), strict=True):
            for side, asked in zip(sides, (path, other), strict=True):
                started = time.perf_counter()
                await client.call("GET", asked, token=side.token)
                if number:
                    side.took_ms[kind].append((time.perf_counter() - started) * 1000)


async def ask_each_search(client: Client, sides: list[Side]) -> None:
    """Show beside the figures what each search finds, and how long it takes."""
    for queries in [*zip(*(side.searches for side in sides), strict=True), (NEVER_TOGETHER,) * len(sides)]:
        shown = []
        for side, query in zip(sides, queries, strict=True):
            path = f"/api/v1/conversations/search?limit={PAGE}&q={quote(query)}"
            took = []
            for _ in range(7):
                started = time.perf_counter()
                page = await client.call("GET", path, token=side.token)
                took.append((time.perf_counter() - started) * 1000)
            cut = " (cut short)" if page["is_cut_short"] else ""
            shown.append(f"{len(page['items']):3} hits {statistics.median(took):6.2f} ms{cut}")
        print(f"{queries[0]:32} {' | '.join(shown)}")


async def main() -> None:
    """Load, measure, and print one line of JSON."""
    async with running() as (url, data_dir):
        client = Client(url)
        addresses, catalog = await _databases(data_dir)
        sides = await signed_up(client, catalog)
        await catalog.close()
        for side in sides:
            await fill(side, addresses[side.shard])
        for side in sides:
            await prepare(client, side, addresses[side.shard])
        await measure(client, sides)
        await ask_each_search(client, sides)
    small, large = (side.summary() for side in sides)
    ratios = {
        name.removesuffix("_ms"): round(large[name] / small[name], 2)
        for name in ("first_page_p50_ms", "deep_page_p50_ms", "search_p50_ms")
    }
    verdict = {"sizes": [small, large], "ratios": ratios, "most": MOST_TIMES_SLOWER}
    print(json.dumps(verdict | {"is_held": max(ratios.values()) <= MOST_TIMES_SLOWER}))


async def _databases(data_dir: Path) -> tuple[dict[str, str], asyncpg.Connection]:
    with installation(data_dir) as settings:
        addresses = await shard_addresses(settings)
        catalog = await asyncpg.connect(address(settings.database_url, database=CATALOG))
    return addresses, catalog


if __name__ == "__main__":
    asyncio.run(main())
