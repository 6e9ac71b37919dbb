"""What the gateway knows: routes with who may use them, how long, how big, and the limits over all of them.

Nothing here speaks a proxy's language; an emitter turns it into one.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

KIB = 1024
MIB = 1024 * KIB
PROBE_PATH = "/.gateway/alive"
"""Answered by the gateway itself, whoever else is away."""


class Auth(StrEnum):
    """Whose token a route asks for."""

    NONE = "none"
    MEMBER = "member"
    VISITOR = "visitor"
    CLAIMED = "claimed"
    """Any token, also in the query; a missing or bad one passes, and the socket says so in its own words."""


class Upstream(StrEnum):
    """Who answers: one name for each kind of process that `dana run` knows."""

    AUTH = "auth"
    CONVERSATIONS = "conversations"
    KNOWLEDGE = "knowledge"
    AI = "ai"
    PLACEMENT = "placement"
    REALTIME = "realtime"
    WEB = "web"
    """Pages, the widget's files, the description of the API, and what belongs to no service."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path, or a path with all below it; the first that matches is taken."""

    path: str
    upstream: Upstream
    is_exact: bool = False
    auth: Auth = Auth.NONE
    timeout_seconds: float = 30.0
    body_bytes: int = 1 * MIB
    is_websocket: bool = False
    is_cross_origin: bool = False
    """Whether pages of other sites may call it: the widget lives on them."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A token bucket: so many requests a second for ever, and so many at once."""

    per_second: int
    burst: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Abuse shields; business quotas live in the services."""

    address: Limit = Limit(300, 600)
    user: Limit = Limit(100, 200)
    organization: Limit = Limit(1000, 2000)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs tokens, with the public keys (RFC 7517)."""

    name: str
    auth: Auth
    jwks: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway: where it listens, what it lets through, and where its files are."""

    port: int
    folder: Path
    issuers: tuple[Issuer, ...]
    routes: tuple[Route, ...]
    closed_paths: tuple[str, ...] = ()
    """What services keep for each other: refused here with all below it, whoever asks."""
    host: str = "127.0.0.1"
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: int = 0
    """How many proxies stand before this one and tell the client's address truly."""
    threads: int = 1

    def endpoints_file(self, upstream: Upstream) -> Path:
        """Return the file that says where an upstream is now; rewritten when that changes."""
        return self.folder / f"endpoints-{upstream.value}.json"
