"""A real gateway in front of real servers that tell what reached them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dana.contracts.ids import ContactId, ConversationId, InboxId, OrgId, UserId
from dana.contracts.views import Role
from dana.platform.gateway.model import Auth, Gateway, Issuer, Limit, Limits, Upstream
from dana.platform.gateway.routes import CLOSED_PATHS, POLICIES, ROUTES, SECRET_PATHS
from dana.platform.identity import MEMBER_ISSUER, VISITOR_ISSUER, Keys, Member, Visitor
from dana.platform.local.programs import free_port
from dana.platform.secrets import Secrets
from tests.gateway.backends import STREAM, Backend, listening
from tests.gateway.stands import Behind, Certificate, Visit, start_stand

GENEROUS = Limits(Limit(100_000, 100_000), Limit(100_000, 100_000), Limit(100_000, 100_000))
Start = Callable[..., Visit]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a gateway on one worker."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(f"gateway {item.path.stem}"))


@dataclass
class People:
    """Who may show a token, and the tokens."""

    keys: Keys
    org_id: OrgId = field(default_factory=lambda: OrgId(uuid4()))
    user_id: UserId = field(default_factory=lambda: UserId(uuid4()))

    def token(self, org_id: OrgId | None = None, user_id: UserId | None = None, ttl: float = 60) -> str:
        member = Member(org_id or self.org_id, user_id or self.user_id, Role.AGENT, "Ana", uuid4())
        return self.keys.sign_member(member, ttl)

    def member(self, **options: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(**options)}"}

    def stranger(self) -> dict[str, str]:
        """Show a member of another organization."""
        return self.member(org_id=OrgId(uuid4()), user_id=UserId(uuid4()))

    def visitor(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys.sign_visitor(self._visitor(), 60)}"}

    def opening(self, org_id: OrgId | None = None) -> str:
        """Return a member's token for one socket or stream."""
        member = Member(org_id or self.org_id, self.user_id, Role.AGENT, "Ana", uuid4(), time.time() + 600)
        return self.keys.sign_realtime(member)

    def visitors_opening(self) -> str:
        """Return the same of a visitor."""
        return self.keys.sign_realtime(self._visitor())

    def socket(self, org_id: OrgId | None = None) -> str:
        """Return the path of a socket, with a new token."""
        return f"/api/v1/realtime?token={self.opening(org_id)}"

    def stream(self, org_id: OrgId | None = None) -> str:
        """Return the path of a stream, with a new token."""
        return f"{STREAM}?token={self.opening(org_id)}"

    def _visitor(self) -> Visitor:
        return Visitor(
            self.org_id,
            ConversationId(uuid4()),
            ContactId(uuid4()),
            InboxId(uuid4()),
            "Eve",
            time.time() + 600,
        )


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(Keys(Secrets.load(tmp_path_factory.mktemp("secrets") / "secrets")))


@pytest.fixture(scope="session")
def model(people: People, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    issuers = (
        Issuer(MEMBER_ISSUER, Auth.MEMBER, people.keys.jwks(MEMBER_ISSUER)),
        Issuer(VISITOR_ISSUER, Auth.VISITOR, people.keys.jwks(VISITOR_ISSUER)),
    )
    return Gateway(
        free_port(),
        Path(),
        issuers,
        ROUTES,
        CLOSED_PATHS,
        SECRET_PATHS,
        limits=GENEROUS,
        policies=POLICIES,
    )


@contextmanager
def starting(model: Gateway, folders: pytest.TempPathFactory) -> Iterator[Start]:
    """Start gateways that differ in some points from the one that Dana has, and stop them in the end."""
    started: list[Visit] = []

    def start_one(behind: Behind, certificate: Certificate | None = None, **changes: Any) -> Visit:
        gateway = replace(model, port=free_port(), folder=folders.mktemp("gateway"), **changes)
        started.append(Visit(start_stand(gateway, behind, certificate)))
        return started[-1]

    try:
        yield start_one
    finally:
        for visit in started:
            visit.client.close()
            visit.stand.stop()


@pytest.fixture
def start(model: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a gateway for one test: each watches its files, and the system allows few who watch."""
    with starting(model, tmp_path_factory) as start_one:
        yield start_one


@pytest.fixture(scope="module")
def backends() -> Iterator[dict[Upstream, Backend]]:
    """Give each upstream one process that bears its name."""
    with listening(*(upstream.value for upstream in Upstream)) as all_of_them:
        yield dict(zip(Upstream, all_of_them, strict=True))


@pytest.fixture(scope="module")
def start_for_all(model: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a gateway for all tests of a file."""
    with starting(model, tmp_path_factory) as start_one:
        yield start_one


@pytest.fixture(scope="module")
def dana(start_for_all: Start, backends: dict[Upstream, Backend]) -> Visit:
    """Dana's own gateway, but for the limits."""
    return start_for_all({upstream: [backend] for upstream, backend in backends.items()})


@pytest.fixture(autouse=True)
def well_again(backends: dict[Upstream, Backend]) -> None:
    """Let no test suffer from what another one has planned."""
    for backend in backends.values():
        backend.planned.clear()
        backend.always = None
        backend.is_well = True
        backend.says.clear()
        backend.fills = 0
        backend.seen.clear()
        backend.lost.clear()
