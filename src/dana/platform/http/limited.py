"""Limits at the edge: every request that carries a token counts, some for more, and hears how it stands.

Routes say what they are with `opt=limited("search", cost=5)`; what a route doesn't say is "request" at 1. The
answer carries `RateLimit-Policy` and `RateLimit`, in the words of draft-ietf-httpapi-ratelimit-headers-11.
"""

import math
from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from dana.platform.errors import Unauthenticated
from dana.platform.identity import Keys, Member
from dana.platform.limits import QUOTAS, Limits, Per, Standing, network_of

ADDRESS_HEADER = "x-client-address"
HEADERS = "limit_headers"

_OPTION = "limited"
_Connection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Weight:
    """What kind of request a route is, and how many units it takes."""

    kind: str
    cost: int


_PLAIN = Weight("request", 1)


def limited(kind: str, cost: int = 1) -> dict[str, Any]:
    """Say what a route is, as its `opt`."""
    if kind not in QUOTAS:
        raise ValueError(f"There is no limit named {kind}.")
    return {_OPTION: Weight(kind, cost)}


class Counting:
    """The guard before all routes."""

    def __init__(self, limits: Limits, keys: Keys) -> None:
        self._limits = limits
        self._keys = keys

    async def __call__(self, connection: _Connection, handler: BaseRouteHandler) -> None:
        """Count a request; raises Limited, or Unavailable where it may not pass uncounted."""
        weight: Weight = handler.opt.get(_OPTION, _PLAIN)
        if weight is _PLAIN and "authorization" not in connection.headers:
            return  # what is public and cheap, such as a widget's settings, is the gateway's to watch
        verdict = await self._limits.take(weight.kind, weight.cost, self._subjects(connection))
        if verdict.standings:
            connection.scope["state"][HEADERS] = headers(verdict.standings)
        verdict.enforce()

    def _subjects(self, connection: _Connection) -> dict[Per, str]:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            try:
                who = self._keys.verify_any(token.strip())
            except Unauthenticated:
                return {}  # whoever needs the token says so
            person = who.user_id if isinstance(who, Member) else who.contact_id
            return {Per.ORGANIZATION: who.org_id.hex, Per.USER: person.hex}
        key = connection.path_params.get("public_key")
        subjects = {Per.ADDRESS: network_of(address_of(connection))}
        return subjects | {Per.KEY: str(key)} if key else subjects


def address_of(connection: _Connection) -> str:
    """Name the address a request came from: the gateway says it, and lets nobody else say it."""
    peer = connection.client.host if connection.client else ""
    return connection.headers.get(ADDRESS_HEADER, peer)


def headers(standings: tuple[Standing, ...]) -> list[tuple[bytes, bytes]]:
    """Say how each quota stands; the one with the least left is the one to watch."""
    policies = (f'"{each.quota.name}";q={each.quota.units};w={each.quota.seconds:g}' for each in standings)
    lefts = (
        f'"{each.quota.name}";r={each.remaining};t={math.ceil(each.wait_seconds or each.full_seconds)}'
        for each in standings
    )
    return [
        (b"ratelimit-policy", ", ".join(policies).encode()),
        (b"ratelimit", ", ".join(lefts).encode()),
    ]
