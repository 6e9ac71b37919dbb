"""What the gateway knows: who may use which route, how long, how big, how often, how upstreams are called.

Nothing here speaks a proxy's language; an emitter turns it into one (`envoy`, `kubernetes`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

KIB = 1024
MIB = 1024 * KIB
PROBE_PATH = "/.gateway/alive"
"""Answered by the gateway itself, whoever else is away; says 503 while the gateway drains."""
SEGMENT = "[^/]+"


class Auth(StrEnum):
    """Whose token a route asks for."""

    NONE = "none"
    MEMBER = "member"
    VISITOR = "visitor"
    PERSON = "person"
    """A member's or a visitor's."""
    REALTIME = "realtime"
    """A member's or a visitor's for sockets and streams only, in the query: browsers send no header there."""


class Door(StrEnum):
    """Which of an upstream's ports: sockets have one of their own."""

    HTTP = "http"
    SOCKETS = "sockets"


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


class Repeat(StrEnum):
    """After which failures an attempt is repeated."""

    UNSENT = "unsent"
    """Nobody listened, so nothing has arrived anywhere: that harms nothing."""
    FAILED = "failed"
    """Also when no answer came, or one of a service that is away: what was asked may have been done."""


@dataclass(frozen=True, slots=True)
class Manner:
    """Some of a route's requests, and when these are repeated."""

    name: str
    repeat: Repeat
    methods: tuple[str, ...] = ()
    """None given means all that no manner before it has taken."""
    needs_key: bool = False
    """Only those with an Idempotency-Key."""


READ = Manner("read", Repeat.FAILED, ("GET", "HEAD"))
KEYED = Manner("keyed", Repeat.FAILED, ("POST",), needs_key=True)
WRITE = Manner("write", Repeat.UNSENT)
SOCKET = Manner("socket", Repeat.UNSENT)


@dataclass(frozen=True, slots=True)
class Route:
    """One path, or a path with all below it; the first that matches is taken."""

    path: str
    """A `*` stands for one segment, and then the path is exact."""
    upstream: Upstream
    is_exact: bool = False
    auth: Auth = Auth.NONE
    timeout_seconds: float = 30.0
    body_bytes: int = 1 * MIB
    is_websocket: bool = False
    is_stream: bool = False
    """Whether its answer goes on for as long as both sides are there."""
    is_cross_origin: bool = False
    """Whether pages of other sites may call it: the widget lives on them."""
    honours_keys: bool = False
    """Whether POSTs with one Idempotency-Key have one effect, so that such a POST may be repeated."""

    @property
    def door(self) -> Door:
        """By which port of its upstream it is answered."""
        return Door.SOCKETS if self.is_websocket else Door.HTTP

    @property
    def stays_open(self) -> bool:
        """Whether only silence ends it, and never the time that it takes."""
        return self.is_websocket or self.is_stream

    @property
    def manners(self) -> tuple[Manner, ...]:
        """How its requests are repeated: reading always, writing only with a key that the service honours."""
        if self.is_websocket:
            return (SOCKET,)
        return (READ, KEYED, WRITE) if self.honours_keys else (READ, WRITE)

    @property
    def pattern(self) -> str | None:
        """The path as a regular expression, if it has a `*`."""
        return SEGMENT.join(map(re.escape, self.path.split("*"))) if "*" in self.path else None


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
class Clients:
    """What one client, and all of them, may hold open."""

    connections: int = 18_000  # of all clients; below the descriptors a small machine allows
    streams: int = 100  # at once on one HTTP/2 connection
    idle_seconds: float = 300.0
    quiet_seconds: float = 45.0  # of a socket or a stream: heartbeats go every 10 s, so its node is dead
    headers_seconds: float = 10.0
    request_seconds: float = 300.0  # the largest upload over a slow line
    headers_kib: int = 32
    headers: int = 100


@dataclass(frozen=True, slots=True)
class Retries:
    """How patiently a failed attempt is repeated: two to four seconds, which is what a restart takes."""

    attempts: int = 8
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 0.8


class Sticky(StrEnum):
    """What leads to the same process again, as long as that one isn't much busier than the others."""

    NONE = "none"
    ORGANIZATION = "organization"
    """Whoever shows no token goes by address."""
    SESSION = "session"
    """A browser, by a cookie that the gateway gives it."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """How much may be under way to one upstream; what comes on top hears 503 at once."""

    connections: int = 18_000
    waiting: int = 4096
    requests: int = 18_000
    retries: int = 512


@dataclass(frozen=True, slots=True)
class Ejection:
    """When a process gets nothing for a while although it answers its probe."""

    failures: int = 10  # in a row: server errors, broken connections, answers that didn't come in time
    seconds: float = 5.0  # the first time; longer each time
    longest_seconds: float = 30.0
    every_seconds: float = 1.0  # who is to be ejected, and who taken back
    most_percent: int = 50  # so one process alone is never ejected, and of two only one


@dataclass(frozen=True, slots=True)
class Probe:
    """How an upstream's processes are asked whether they are there."""

    path: str | None = "/healthz"
    """None where it is enough that a connection is accepted."""
    every_seconds: float = 1.0
    timeout_seconds: float = 2.0
    failures: int = 3  # in a row, and it gets nothing more
    successes: int = 1


@dataclass(frozen=True, slots=True)
class UpstreamPolicy:
    """How one upstream is called."""

    sticky: Sticky = Sticky.NONE
    connect_seconds: float = 1.0
    idle_seconds: float = 60.0  # shorter than the services', or a request might meet a closing connection
    breaker: Breaker = field(default_factory=Breaker)
    ejection: Ejection = field(default_factory=Ejection)
    probe: Probe = field(default_factory=Probe)
    socket_probe: Probe = field(default_factory=lambda: Probe(path=None))
    """How the port of its sockets is asked."""


@dataclass(frozen=True, slots=True)
class Tls:
    """That clients come by TLS. The certificate itself is given beside the model, and may change any time."""

    lowest_version: str = "1.2"
    remember_seconds: int = 365 * 24 * 3600
    """How long browsers shall refuse to come without TLS."""
    redirect_port: int | None = None
    """Where plain HTTP is answered with a redirect, if anywhere."""


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
    secret_paths: tuple[str, ...] = ()
    """Whoever reads a path below one of these may use it, so no log shows it."""
    host: str = "127.0.0.1"
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: int = 0
    """How many proxies stand before this one and tell the client's address truly."""
    threads: int = 1
    tls: Tls | None = None
    clients: Clients = field(default_factory=Clients)
    retries: Retries = field(default_factory=Retries)
    policies: Mapping[Upstream, UpstreamPolicy] = field(default_factory=dict)
    smallest_compressed_bytes: int = 4096  # messages are smaller, and not worth the time
    drain_seconds: float = 15.0
    """How long requests under way may take when the gateway itself is stopped."""

    def policy(self, upstream: Upstream) -> UpstreamPolicy:
        """Return how an upstream is called."""
        return self.policies.get(upstream, UpstreamPolicy())

    @property
    def doors(self) -> tuple[tuple[Upstream, Door], ...]:
        """Return all ports that are called: each upstream's, and of some another one for sockets."""
        wanted = {(route.upstream, route.door) for route in self.routes}
        return tuple(
            (upstream, door)
            for upstream in Upstream
            for door in Door
            if door is Door.HTTP or (upstream, door) in wanted
        )

    def endpoints_file(self, upstream: Upstream, door: Door = Door.HTTP) -> Path:
        """Return the file that says where an upstream is now; rewritten when that changes."""
        return self.folder / f"endpoints-{called(upstream, door)}.json"

    @property
    def certificate_file(self) -> Path:
        """The file with the certificate and its key in use; rewritten when they change."""
        return self.folder / "certificate.json"


def called(upstream: Upstream, door: Door = Door.HTTP) -> str:
    """Name one port of an upstream."""
    return upstream.value if door is Door.HTTP else f"{upstream.value}-{door.value}"
