"""How much comes in: rates, bodies, headers, connections."""

import http.client
from collections.abc import Iterator
from uuid import uuid4

from dana.contracts.ids import UserId
from dana.platform.gateway.model import KIB, MIB, Clients, Limit, Limits, Upstream
from tests.gateway.backends import Backend
from tests.gateway.conftest import GENEROUS, People, Start
from tests.gateway.stands import Visit

PROBLEM = "application/problem+json"
PATH = "/api/v1/inboxes"
ENOUGH = 500  # requests to empty a small bucket, however slow the machine


def test_each_user_has_a_limit(start: Start, people: People) -> None:
    visit = start({}, limits=Limits(GENEROUS.address, Limit(1, 8), GENEROUS.organization))
    mine = people.member()
    assert _passed(visit, mine) >= 8
    assert _passes(visit, people.member(user_id=UserId(uuid4()))), "a colleague is not held back"
    refused = visit.get(PATH, headers=mine)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == PROBLEM
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["type"] == "urn:dana:problem:limited"


def test_each_organization_has_a_limit(start: Start, people: People) -> None:
    visit = start({}, limits=Limits(GENEROUS.address, GENEROUS.user, Limit(1, 8)))
    assert _passed(visit, people.member(), people.member(user_id=UserId(uuid4()))) >= 8
    assert _passes(visit, people.stranger()), "another organization is not held back"


def test_each_address_has_a_limit(start: Start, people: People) -> None:
    visit = start({}, limits=Limits(Limit(1, 8), GENEROUS.user, GENEROUS.organization))
    assert _passed(visit, people.member(), people.stranger(), {}) >= 8, "whoever it is"


def test_limits_of_an_organization_hold_for_its_visitors_too(start: Start, people: People) -> None:
    with_one = start({}, limits=Limits(GENEROUS.address, GENEROUS.user, Limit(1, 5)))
    path = "/api/v1/widget/conversations/1/messages"
    statuses = [with_one.get(path, headers=people.visitor()).status_code for _ in range(100)]
    assert 429 in statuses


def test_a_spoofed_organization_fills_nobody_elses_bucket(start: Start, people: People) -> None:
    with_one = start({}, limits=Limits(GENEROUS.address, GENEROUS.user, Limit(1, 5)))
    for _ in range(20):
        with_one.get("/", headers={"x-dana-organization": str(people.org_id)})
    assert with_one.get(PATH, headers=people.member()).status_code == 503, (
        "nobody is behind it, but it passed"
    )


def test_bodies_are_bounded_by_route(dana: Visit, people: People) -> None:
    member = people.member()
    refused = dana.post("/api/v1/conversations/1/messages", content=b"x" * MIB, headers=member)
    assert refused.status_code == 413
    assert refused.headers["content-type"] == PROBLEM
    accepted = dana.post("/api/v1/knowledge/documents", content=b"x" * 25 * MIB, headers=member)
    assert accepted.json()["body_bytes"] == 25 * MIB
    refused = dana.post("/api/v1/knowledge/documents", content=b"x" * 27 * MIB, headers=member)
    assert refused.status_code == 413
    assert dana.post("/", content=b"x" * 2 * KIB).status_code == 413


def test_bodies_of_unknown_length_are_bounded_too(
    dana: Visit, people: People, backends: dict[Upstream, Backend]
) -> None:
    def chunks() -> Iterator[bytes]:
        yield from [b"x" * 64 * KIB] * 8

    answer = dana.post("/api/v1/conversations/1/messages", content=chunks(), headers=people.member())
    assert answer.status_code == 413
    assert not backends[Upstream.CONVERSATIONS].seen


def test_headers_are_bounded(dana: Visit) -> None:
    too_large = dana.get("/", headers={"x-large": "x" * 40 * KIB})
    assert too_large.status_code == 431
    assert too_large.headers["content-type"] == PROBLEM
    too_many = dana.get("/", headers={f"x-{number}": "x" for number in range(150)})
    assert too_many.status_code == 431
    assert dana.get("/", headers={"x-large": "x" * 20 * KIB}).status_code == 200


def test_a_client_that_sends_its_headers_slowly_is_sent_away(start: Start) -> None:
    hasty = start({}, clients=Clients(headers_seconds=0.3))
    with hasty.connect() as connection:
        connection.settimeout(10)
        connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n")
        answer = connection.recv(4096)
    assert b" 408 " in answer.split(b"\r\n")[0]


def test_a_client_that_sends_its_body_slowly_is_sent_away(start: Start) -> None:
    hasty = start({}, clients=Clients(request_seconds=0.3))
    with hasty.connect() as connection:
        connection.settimeout(10)
        connection.sendall(
            b"POST /api/v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc"
        )
        answer = connection.recv(4096)
    assert b" 408 " in answer.split(b"\r\n")[0]


def test_connections_are_bounded(start: Start, backends: dict[Upstream, Backend]) -> None:
    small = start({Upstream.WEB: [backends[Upstream.WEB]]}, clients=Clients(connections=3))
    small.client.close()
    address = ("127.0.0.1", small.stand.model.port)
    held = [http.client.HTTPConnection(*address, timeout=10) for _ in range(3)]
    one_more = http.client.HTTPConnection(*address, timeout=10)
    try:
        assert all(_answers(connection) for connection in held)
        assert not _answers(one_more)
        assert all(_answers(connection) for connection in held), "those who came before are served on"
    finally:
        for connection in (*held, one_more):
            connection.close()


def _answers(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return False
    return answer.status == 200


def _passed(visit: Visit, *tokens: dict[str, str]) -> int:
    """Ask with each in turn until a limit is met; what passed may be more than a bucket, as it fills up."""
    for number in range(ENOUGH):
        if not _passes(visit, tokens[number % len(tokens)]):
            return number
    raise AssertionError("no limit was met")


def _passes(visit: Visit, token: dict[str, str]) -> bool:
    """Tell whether it got past the limits; behind them is nobody."""
    status = visit.get(PATH if token else "/", headers=token).status_code
    assert status in (429, 503)
    return status == 503
