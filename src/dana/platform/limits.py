"""Limits: how much of what an organization, a user, a key or an address may ask for, over all processes.

GCRA, a leaky bucket that needs one number a key: the moment at which all that was taken is regained. One
script looks at all limits of a request, by Valkey's own clock, and takes from all of them or from none.

    taken ──► regained ───────────────► now        now + seconds
              at (one number)            └── free ──┘└ full: wait
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import Any

import structlog
from prometheus_client import Counter

from dana.platform.errors import Limited, Unavailable
from dana.platform.valkey import Script, Valkey

ANSWER_SECONDS = 0.25  # a Valkey that hangs must not hold up every request for as long as a lost one does
CLOSED_RETRY_SECONDS = 2.0
MICROSECONDS = 1_000_000

REFUSED = Counter("dana_limited_total", "Requests refused because a limit was reached.", ["limit", "per"])
UNCOUNTED = Counter(
    "dana_limits_uncounted_total", "Requests that came while Valkey couldn't count them.", ["outcome"]
)

log = structlog.get_logger(__name__)


class Per(StrEnum):
    """Whose units are counted together."""

    ORGANIZATION = "organization"
    USER = "user"
    KEY = "key"
    ADDRESS = "address"


class Uncounted(StrEnum):
    """What becomes of a request that can't be counted, because Valkey is away."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Quota:
    """So many units at once, all of them regained within so many seconds."""

    name: str
    per: Per
    units: int
    seconds: float
    uncounted: Uncounted = Uncounted.OPEN


# About half of what a small machine can do, for ever, and all of it for a moment.
ORGANIZATION = Quota("organization", Per.ORGANIZATION, units=2000, seconds=10)
USER = Quota("user", Per.USER, units=1000, seconds=10)

QUOTAS: dict[str, tuple[Quota, ...]] = {
    "request": (ORGANIZATION, USER),
    # Searches read much; a person who types starts several a second.
    "search": (ORGANIZATION, USER, Quota("search", Per.ORGANIZATION, units=500, seconds=20)),
    # Parsing and indexing take seconds of a processor for a large document.
    "upload": (ORGANIZATION, USER, Quota("upload", Per.ORGANIZATION, units=1500, seconds=60)),
    # Each may cost the organization money at its model provider.
    "try": (ORGANIZATION, USER, Quota("try", Per.ORGANIZATION, units=600, seconds=60)),
    # Work for hours that nobody waits for; what can't be counted may as well begin a little later.
    "bulk": (
        ORGANIZATION,
        USER,
        Quota("bulk", Per.ORGANIZATION, units=600, seconds=600, uncounted=Uncounted.CLOSED),
    ),
    # Nobody has signed in yet. An office, or all phones of a network, share an address.
    "conversation": (
        Quota("key", Per.KEY, units=3000, seconds=60),
        Quota("address", Per.ADDRESS, units=1000, seconds=60),
    ),
    # Right passwords cost as much to check as wrong ones. Wrong ones are also counted in the catalog, more
    # strictly, and without Valkey: so this may fail open.
    "sign-in": (Quota("sign-in", Per.ADDRESS, units=200, seconds=60),),
    "sign-up": (Quota("sign-up", Per.ADDRESS, units=300, seconds=600),),
}
"""The plan of every organization, until there are several. By kind of request; a kind's limits all apply."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request takes from one quota; `home` groups what must be taken together or not at all."""

    quota: Quota
    home: str
    subject: str
    cost: int

    @property
    def key(self) -> str:
        """Where it is counted; what stands in braces decides on the server of a cluster."""
        return f"dana:limit:{{{self.home}}}:{self.quota.name}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How much is left of a quota, when a request has been counted or refused."""

    quota: Quota
    remaining: int
    wait_seconds: float
    """How long until the request would be admitted; 0 when it was."""
    full_seconds: float
    """How long until everything is regained."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the quotas say to a request."""

    standings: tuple[Standing, ...]

    @property
    def refused(self) -> Standing | None:
        """The quota that is exhausted for the longest, if any is."""
        longest = max(self.standings, key=lambda standing: standing.wait_seconds, default=None)
        return longest if longest is not None and longest.wait_seconds > 0 else None

    def enforce(self) -> None:
        """Raise Limited when a quota is exhausted."""
        refused = self.refused
        if refused is not None:
            raise Limited(
                f"Too many requests at once for this {refused.quota.per}. Wait, then try again.",
                refused.wait_seconds,
                limit=refused.quota.name,
            )


# KEYS: one a quota. ARGV: units, window in microseconds and cost, for each. Numbers below 2^53 are exact.
_TAKE = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer, after, refused = {}, {}, false
for i, key in ipairs(KEYS) do
  local units, window, cost = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  local regained = tonumber(redis.call('GET', key) or now)
  regained = math.max(now, math.min(regained, now + window))
  after[i] = regained + cost * window / units
  local wait = after[i] - now - window
  if wait >= 1 then refused = true else wait = 0 end
  answer[i] = {units, window, regained, wait}
end
local flat = {}
for i, key in ipairs(KEYS) do
  local units, window, regained, wait = unpack(answer[i])
  if not refused then
    regained = math.max(now, after[i])
    redis.call('SET', key, string.format('%.0f', regained), 'PX', math.ceil((regained - now) / 1000) + 1)
  end
  flat[#flat + 1] = math.max(0, math.floor((window - (regained - now) + 0.5) * units / window))
  flat[#flat + 1] = math.ceil(wait)
  flat[#flat + 1] = math.ceil(regained - now)
end
return flat
""")


class Limits:
    """Counts requests in Valkey."""

    def __init__(
        self, valkey: Valkey, factor: float = 1.0, quotas: Mapping[str, tuple[Quota, ...]] = QUOTAS
    ) -> None:
        """Multiply each quota's units by a factor, for an installation that bears more, or a load test."""
        self._valkey = valkey
        self._quotas = {
            kind: tuple(replace(each, units=max(1, round(each.units * factor))) for each in group)
            for kind, group in quotas.items()
        }

    async def take(self, kind: str, cost: int, subjects: Mapping[Per, str]) -> Verdict:
        """Count a request of a kind, against the quotas of whom we know.

        What one quota refuses is taken from none of the same home. Raises Unavailable when Valkey is away and
        one of the quotas fails closed.
        """
        charges = self._charges(kind, cost, subjects)
        if not charges:
            return Verdict(())
        standings: list[Standing] = []
        try:
            for together in self._groups(charges):
                standings += await self._take_together(together)
                if any(standing.wait_seconds for standing in standings):
                    break
        except Unavailable:
            return _uncounted(charges)
        verdict = Verdict(tuple(standings))
        if (refused := verdict.refused) is not None:
            REFUSED.labels(refused.quota.name, refused.quota.per).inc()
        return verdict

    def _charges(self, kind: str, cost: int, subjects: Mapping[Per, str]) -> list[Charge]:
        home = subjects.get(Per.ORGANIZATION) or subjects.get(Per.KEY) or subjects.get(Per.ADDRESS) or ""
        return [
            Charge(quota, home, subjects[quota.per], min(cost, quota.units))
            for quota in self._quotas[kind]
            if subjects.get(quota.per)
        ]

    def _groups(self, charges: Sequence[Charge]) -> Iterable[Sequence[Charge]]:
        """Split what a cluster keeps on different servers; one server looks at everything at once."""
        if not self._valkey.is_cluster:
            return (charges,)
        homes: dict[str, list[Charge]] = {}
        for charge in charges:
            homes.setdefault(charge.home, []).append(charge)
        return homes.values()

    async def _take_together(self, charges: Sequence[Charge]) -> list[Standing]:
        arguments: list[int] = []
        for charge in charges:
            window = round(charge.quota.seconds * MICROSECONDS)
            arguments += (charge.quota.units, window, charge.cost)
        keys = [charge.key for charge in charges]
        flat: list[int] = await self._valkey.run(_TAKE, keys, arguments, within_seconds=ANSWER_SECONDS)
        return [
            Standing(charge.quota, remaining, wait / MICROSECONDS, full / MICROSECONDS)
            for charge, remaining, wait, full in zip(charges, *_columns(flat), strict=True)
        ]


def network_of(address: str) -> str:
    """Name who is behind an address: itself, or the /64 of an IPv6 address, which one person owns whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64))


def _uncounted(charges: Sequence[Charge]) -> Verdict:
    closed = next((charge for charge in charges if charge.quota.uncounted is Uncounted.CLOSED), None)
    UNCOUNTED.labels(Uncounted.OPEN if closed is None else Uncounted.CLOSED).inc()
    if closed is not None:
        raise Unavailable(
            "This can't be counted against its limit at the moment, so it can't begin.",
            CLOSED_RETRY_SECONDS,
            limit=closed.quota.name,
        )
    return Verdict(())


def _columns(flat: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    return flat[0::3], flat[1::3], flat[2::3]
