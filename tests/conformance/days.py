"""A day: what happens in some organizations, what each group makes of it, and a digest of that.

The digest depends on everything the bus promises: each event counts once in each group, and in the order of
its key. It doesn't depend on ids or times, so every day comes to the same, whatever happens to the workers.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID, uuid5

from dana.contracts.events import MemberChanged
from dana.contracts.ids import OrgId, UserId, new_id
from dana.contracts.views import MemberView, Role
from dana.platform.bus import Bus, Consumer, Envelope, Lane, PostgresBinding, Worker
from dana.platform.database import Tx
from dana.platform.identity import SYSTEM
from dana.platform.servers import administer, shard_addresses
from dana.platform.settings import Settings
from dana.platform.shards import Shards

LEDGER, AUDIT, MAILER = GROUPS = ("ledger", "audit", "mailer")
ORGANIZATIONS = 3
PEOPLE = 4
EVENTS = 14
STUMBLES = 0.08  # of the audit's attempts fail

_NAMESPACE = UUID("5b7a3c1e-0000-4000-8000-000000000000")
_TABLES = """
create schema conformance;
create table conformance.effects (
  org_id uuid not null default platform.current_org(), consumer_group text not null, key uuid not null,
  many int not null, digest text not null, primary key (org_id, consumer_group, key));
create table conformance.inbox (
  org_id uuid not null default platform.current_org(), consumer_group text not null, cursor bigint not null,
  primary key (org_id, consumer_group, cursor));
grant usage on schema conformance to dana_service;
grant select, insert, update, delete on all tables in schema conformance to dana_service"""
_EFFECT = """
insert into conformance.effects as e (consumer_group, key, many, digest)
values ($1, $2, 1, encode(sha256($3::text::bytea), 'hex'))
on conflict (org_id, consumer_group, key) do update
   set many = e.many + 1, digest = encode(sha256((e.digest || $3)::bytea), 'hex')"""
_DUE = """
select count(*) from platform.deliveries
 where org_id = any ($1) and consumer_group = any ($2) and state = 'ready'"""
_EFFECTS = """
select org_id, consumer_group, key, many, digest from conformance.effects
 where org_id = any ($1) and consumer_group = any ($2)"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Day:
    """Some organizations, and the people in each."""

    settings: Settings
    orgs: list[OrgId]
    undisturbed: str = ""
    """The digest of a day on which nothing happens to anybody."""

    def person(self, org_id: OrgId, number: int) -> UserId:
        """Name somebody by place, not by chance, so that digests can be compared."""
        return UserId(uuid5(_NAMESPACE, f"{self.orgs.index(org_id)}/{number}"))

    async def happen(self, shards: Shards, pause_seconds: float = 0.0) -> None:
        """Let everything happen, one event after the other in each organization."""
        await asyncio.gather(*(self._happen_in(shards, org_id, pause_seconds) for org_id in self.orgs))

    async def _happen_in(self, shards: Shards, org_id: OrgId, pause_seconds: float) -> None:
        for n in range(EVENTS):
            async with shards.tx(org_id, SYSTEM) as tx:
                for number in range(PEOPLE):
                    if n % 3 or number % 2:
                        tx.emit(changed(self.person(org_id, number), str(n)))
            await asyncio.sleep(pause_seconds)

    async def end(self, groups: tuple[str, ...] = GROUPS) -> str:
        """Wait until nothing is due any more, and return the digest."""
        async with asyncio.timeout(60):
            while await self._ask(_DUE, groups) != [0] * len(await shard_addresses(self.settings)):
                await asyncio.sleep(0.05)
        return await self.digest(groups)

    async def digest(self, groups: tuple[str, ...] = GROUPS) -> str:
        """Return the digest of all effects."""
        lines = []
        for dsn in (await shard_addresses(self.settings)).values():
            async with administer(dsn) as shard:
                lines += [
                    f"{row['consumer_group']} {row['key']} {row['many']} {row['digest']}"
                    for row in await shard.fetch(_EFFECTS, self.orgs, list(groups))
                ]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    async def _ask(self, question: str, groups: tuple[str, ...]) -> list[int]:
        answers = []
        for dsn in (await shard_addresses(self.settings)).values():
            async with administer(dsn) as shard:
                answers.append(await shard.fetchval(question, self.orgs, list(groups)))
        return answers


def changed(person: UserId, name: str) -> MemberChanged:
    """Make an event with a key."""
    return MemberChanged(member=MemberView(user_id=person, name=name, email="a@b.example", role=Role.AGENT))


async def furnish(settings: Settings) -> None:
    """Make room for effects."""
    for dsn in (await shard_addresses(settings)).values():
        async with administer(dsn) as shard:
            await shard.execute(_TABLES)


async def subscribe(settings: Settings) -> None:
    """Let what happens wait for the groups, before any of their workers is there."""
    lanes = {group: str(Lane.AI if group == MAILER else Lane.LIVE) for group in GROUPS}
    await _subscribe(settings, {group: (["member_changed"], [lane]) for group, lane in lanes.items()})


async def unsubscribe(settings: Settings) -> None:
    """Let nothing wait for them: what other tests emit would hold up the workers of the next day."""
    await _subscribe(settings, {group: ([], []) for group in GROUPS})


async def _subscribe(settings: Settings, subscriptions: dict[str, tuple[list[str], list[str]]]) -> None:
    for dsn in (await shard_addresses(settings)).values():
        async with administer(dsn) as shard:
            for group, (types, lanes) in subscriptions.items():
                await shard.execute("select platform.subscribe($1, $2, $3)", group, types, lanes)


async def new_day(settings: Settings, shards: Shards, undisturbed: str = "") -> Day:
    """Found fresh organizations."""
    orgs = [OrgId(new_id()) for _ in range(ORGANIZATIONS)]
    for org_id in orgs:
        await shards.place(org_id)
    return Day(settings, orgs, undisturbed)


async def quiet_day(settings: Settings) -> str:
    """Let a day pass with one worker of each group, and nobody disturbed."""
    shards, auth, binding = Shards(settings, "conversations"), Shards(settings, "auth"), PostgresBinding()
    day = await new_day(settings, auth)
    shards.on_commit.append(binding.committed)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(shards.close)
        stack.push_async_callback(auth.close)
        for group in GROUPS:
            bus = Bus(group, shards, consumers(group, shards, lambda _: None), binding)
            await bus.start()
            stack.push_async_callback(bus.stop)
        await day.happen(shards)
        return await day.end()


def consumers(group: str, shards: Shards, say: Say) -> list[Consumer | Worker]:
    """Make what a group consumes with; `say` hears of each beginning."""
    if group == MAILER:
        return [Worker(MemberChanged, _mail(shards, say), Lane.AI)]
    return [Consumer(MemberChanged, _note(group, say))]


def _note(group: str, say: Say) -> Callable[[Tx, MemberChanged], Awaitable[None]]:
    async def note(tx: Tx, event: MemberChanged) -> None:
        say("begun")
        await tx.execute(_EFFECT, group, event.member.user_id, event.member.name)
        await asyncio.sleep(random.uniform(0, 0.01))  # noqa: S311 - so that orders could differ
        if group == AUDIT and random.random() < STUMBLES:  # noqa: S311 - the same
            raise RuntimeError("stumbled")

    return note


def _mail(shards: Shards, say: Say) -> Callable[[Envelope, MemberChanged], Awaitable[None]]:
    async def mail(envelope: Envelope, event: MemberChanged) -> None:
        say("begun")
        await asyncio.sleep(random.uniform(0, 0.03))  # noqa: S311 - so that orders could differ
        async with shards.tx(envelope.org_id, SYSTEM) as tx:
            is_new = await tx.fetchval(
                "insert into conformance.inbox (consumer_group, cursor) values ($1, $2)"
                " on conflict do nothing returning true",
                MAILER,
                envelope.cursor,
            )
            if is_new:
                await tx.execute(_EFFECT, MAILER, event.member.user_id, event.member.name)

    return mail


async def until(true: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)
