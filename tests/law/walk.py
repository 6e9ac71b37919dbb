"""The random walk: people act, followers are cut, servers die; now and then all stand still and compare."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from dana.contracts.ids import OrgId
from dana.platform.fanout import INTERNAL_EVENTS
from dana.platform.shards import Shards
from tests.law.deeds import Company, do_something
from tests.law.followers import Follower, MemberSight, VisitorSight
from tests.law.state import Json, cursor_of, fetch
from tests.law.world import World

ACTORS = 3  # of each organization, at once
CUT_EVERY_SECONDS = 0.15
PATIENCE_SECONDS = 120.0  # until everything behind has come to its end
QUIET_LOOKS = 4  # at the cursor, before all is fetched
TOLD = 12  # deeds and events in the story of a difference


@dataclass
class Walk:
    """Everybody, and how far they are."""

    world: World
    dice: random.Random
    companies: list[Company] = field(default_factory=list)
    followers: dict[str, list[Follower]] = field(default_factory=dict)
    """By organization; the first is an owner who is never away for long."""
    logs: dict[str, dict[int, Json]] = field(default_factory=dict)
    shown: dict[str, tuple[Json, int]] = field(default_factory=dict)
    """What REST showed when all last stood still, and up to which cursor."""
    checks: int = 0

    async def follow(self, company: Company, name: str, token: str, *, is_admin: bool) -> Follower:
        """Let a member follow the organization."""
        sight = MemberSight(self.world.http(token), is_admin=is_admin)
        who = self.world.keys.verify_member(token)
        return await self._begin(company, Follower(name, sight, who, seed=self.dice.getrandbits(32)))

    async def follow_as_visitor(self, company: Company, number: int) -> Follower:
        """Let a customer follow his conversation."""
        customer = company.customers[number]
        token = customer.http.headers["authorization"].removeprefix("Bearer ")
        sight = VisitorSight(customer.http, customer.id)
        who = self.world.keys.verify_visitor(token)
        return await self._begin(
            company, Follower(f"visitor {number}", sight, who, seed=self.dice.getrandbits(32))
        )

    async def _begin(self, company: Company, follower: Follower) -> Follower:
        await follower.start(self.world.nodes, self.world.keys)
        self.followers.setdefault(company.org_id, []).append(follower)
        return follower

    async def act(
        self, actions: int, disaster: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        """Let everybody do so many things together, while followers are cut and something goes wrong."""
        left = iter(range(actions))
        actors = [self._actor(company, left) for company in self.companies for _ in range(ACTORS)]
        cutting = asyncio.create_task(self._cut())
        try:
            await asyncio.gather(*actors, *([disaster()] if disaster else []))
        finally:
            cutting.cancel()

    async def _actor(self, company: Company, left: Any) -> None:
        dice = random.Random(self.dice.getrandbits(64))  # noqa: S311 - a walk
        for _ in left:
            await do_something(company, dice)

    async def _cut(self) -> None:
        while True:
            await asyncio.sleep(CUT_EVERY_SECONDS)
            self.dice.choice(self.dice.choice(list(self.followers.values()))).cut()

    async def compare(self, shards: Shards) -> None:
        """Wait until nothing goes on any more; then all that was applied must be all that is fetched."""
        self.checks += 1
        await asyncio.gather(*(self._compare(company, shards) for company in self.companies))

    async def _compare(self, company: Company, shards: Shards) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        cursors: list[int] = []
        while True:
            cursor = await cursor_of(company.owner)
            cursors = [*cursors[1 - QUIET_LOOKS :], cursor]
            log = await self._read_log(company, shards, cursor)
            present = [one for one in self.followers[company.org_id] if not one.is_away]
            for follower in present:
                follower.check_alive()
                assert not follower.wrong, follower.wrong
            late = [one.name for one in present if not _is_there(one, log, cursor)]
            is_quiet = cursors == [cursor] * QUIET_LOOKS
            if is_quiet and not late and await self._is_equal(company, present, cursor):
                return
            assert time.monotonic() < deadline, f"never at {cursor}: {late}\n" + self._story(company, "")
            await asyncio.sleep(0.1)

    async def _is_equal(self, company: Company, present: list[Follower], cursor: int) -> bool:
        """Compare at one cursor; False when something has happened meanwhile."""
        fetched, now = await fetch(company.owner, has_jobs=True)
        visitors = [one.sight for one in present if isinstance(one.sight, VisitorSight)]
        standing = {sight: (await sight.fetched())[0] for sight in visitors}
        if now != cursor or await cursor_of(company.owner) != cursor:
            return False
        for follower in present:
            heard, expected = follower.heard, follower.expected(self.logs[company.org_id], cursor)
            assert heard == expected, _gap(follower, heard, expected)
            sight = follower.sight
            seen = standing[sight] if isinstance(sight, VisitorSight) else fetched
            if different := sight.difference(seen):
                story = "\n".join([f"{follower.name} at {cursor}", *different])
                raise AssertionError(story + self._story(company, story))
        self.shown[company.org_id] = fetched, cursor
        return True

    async def _read_log(self, company: Company, shards: Shards, up_to: int) -> dict[int, Json]:
        log = self.logs.setdefault(company.org_id, {})
        async with shards.read(OrgId(UUID(company.org_id))) as tx:
            rows = await tx.fetch(
                "select cursor, type, payload::text from platform.event_log"
                " where org_id = $1 and cursor > $2 and cursor <= $3",
                tx.org_id,
                max(log, default=0),
                up_to,
            )
        for row in rows:
            if row["type"] not in INTERNAL_EVENTS:
                log[row["cursor"]] = msgspec.json.decode(row["payload"]) | {"type": row["type"]}
        return log

    def _story(self, company: Company, different: str) -> str:
        """Tell what was done and what was heard about that in which they differ."""
        ids = [one.id for one in company.customers if one.id in different]
        ids += [one for one in company.members + company.documents + company.jobs if one in different]
        deeds = [deed for deed in company.lately if any(one in deed for one in ids)] or list(company.lately)
        events = [
            f"{at} {msgspec.json.encode(event).decode()[:600]}"
            for at, event in sorted(self.logs.get(company.org_id, {}).items())
            if not ids or any(one in str(event) for one in ids)
        ]
        return "\n".join(["", "what was done:", *deeds[-TOLD:], "what the log says:", *events[-TOLD:]])


def _is_there(follower: Follower, log: dict[int, Json], cursor: int) -> bool:
    expected = follower.expected(log, cursor)
    return follower.is_caught_up and follower.cursor >= (expected[-1] if expected else follower.base)


def _gap(follower: Follower, heard: list[int], expected: list[int]) -> str:
    missed, doubled = sorted(set(expected) - set(heard)), sorted(set(heard) - set(expected))
    return (
        f"{follower.name} since {follower.base}: missed {missed}, not for him {doubled}, order {heard[-20:]}"
    )
