"""Who gets in, as whom the services see them, and that nobody can say so themselves."""

import time
from uuid import uuid4

import jwt
import pytest

from dana.platform.gateway.model import Limit, Limits, Upstream
from tests.gateway.backends import Backend
from tests.gateway.conftest import GENEROUS, People, Start
from tests.gateway.stands import Visit

PROBLEM = "application/problem+json"
VISITOR_PATH = "/api/v1/widget/conversations/1/messages"
CLOSED_PATHS = [
    "/api/v1/conversations",
    "/api/v1/conversations/1/messages",
    "/api/v1/inboxes",
    "/api/v1/members",
    "/api/v1/auth/me",
    "/api/v1/knowledge/search",
    "/api/v1/assistant",
    "/api/v1/platform/shards",
    "/api/v1/new-thing",
    VISITOR_PATH,
]


@pytest.mark.parametrize("path", CLOSED_PATHS)
def test_everything_else_needs_a_token(dana: Visit, path: str) -> None:
    answer = dana.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert problem["type"] == "urn:dana:problem:unauthenticated"
    assert problem["status"] == 401
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_services_learn_organization_and_user(dana: Visit, people: People) -> None:
    headers = dana.get("/api/v1/conversations", headers=people.member()).json()["headers"]
    assert headers["x-dana-organization"] == str(people.org_id)
    assert headers["x-dana-user"] == str(people.user_id)
    assert "authorization" in headers, "services verify again"


def test_members_and_visitors_never_pass_as_each_other(dana: Visit, people: People) -> None:
    assert dana.get("/api/v1/conversations", headers=people.visitor()).status_code == 401
    assert dana.get(VISITOR_PATH, headers=people.member()).status_code == 401
    assert dana.get(VISITOR_PATH, headers=people.visitor()).status_code == 200


def test_expired_forged_and_unsigned_tokens_are_refused(dana: Visit, people: People) -> None:
    claims = {"iss": "dana", "aud": "dana", "sub": str(uuid4()), "org": str(uuid4()), "exp": time.time() + 60}
    good = people.member()["authorization"]
    bad = [
        people.member(ttl=-60)["authorization"],
        f"Bearer {jwt.encode(claims, '', algorithm='none')}",
        f"Bearer {jwt.encode(claims, 'k' * 40, algorithm='HS256')}",
        good[:-6] + "AAAAAA",
        good.replace("Bearer ", "Basic "),
        "Bearer nonsense",
    ]
    for token in bad:
        assert dana.get("/api/v1/inboxes", headers={"authorization": token}).status_code == 401, token
    assert dana.get("/api/v1/inboxes", headers={"authorization": good}).status_code == 200


def test_a_token_for_something_else_is_refused(dana: Visit, people: People) -> None:
    signed = jwt.decode(people.token(), options={"verify_signature": False})
    key = people.keys._secrets.member_key
    kid = jwt.get_unverified_header(people.token())["kid"]
    for change in ({"aud": "other"}, {"iss": "other"}, {"exp": None}):
        claims = {name: text for name, text in (signed | change).items() if text is not None}
        token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid})
        answer = dana.get("/api/v1/inboxes", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code in (401, 403), change


@pytest.mark.parametrize("name", ["x-dana-organization", "X-Dana-User", "x-dana-anything", "X-DANA-ROLE"])
@pytest.mark.parametrize("path", ["/", "/api/v1/conversations", "/api/v1/auth/login"])
def test_spoofed_identity_headers_are_stripped(dana: Visit, people: People, name: str, path: str) -> None:
    headers = dana.get(path, headers=people.member() | {name: "spoofed"}).json()["headers"]
    assert "spoofed" not in headers.values()


def test_no_claim_is_left_of_a_request_before(dana: Visit, people: People) -> None:
    """The same connection carries one person's request after another's."""
    mine, theirs = people.member(), people.stranger()
    seen = [
        dana.get("/api/v1/inboxes", headers=token).json()["headers"]["x-dana-organization"]
        for token in (mine, theirs, mine)
    ]
    assert seen[0] == seen[2] == str(people.org_id)
    assert seen[1] != seen[0]
    assert "x-dana-organization" not in dana.get("/").json()["headers"]


def test_services_learn_the_address_from_the_gateway_only(dana: Visit) -> None:
    spoofed = {"x-client-address": "6.6.6.6", "x-forwarded-for": "6.6.6.6", "x-real-ip": "6.6.6.6"}
    headers = dana.get("/", headers=spoofed).json()["headers"]
    assert headers["x-client-address"] == "127.0.0.1"


def test_proxies_in_front_are_believed_as_many_as_there_are(
    start: Start, backends: dict[Upstream, Backend]
) -> None:
    behind_one = start({Upstream.WEB: [backends[Upstream.WEB]]}, trusted_proxies=1)
    chain = {"x-forwarded-for": "6.6.6.6, 203.0.113.7"}
    headers = behind_one.get("/", headers=chain).json()["headers"]
    assert headers["x-client-address"] == "203.0.113.7", "what the proxy says, not what the client told it"


def test_limits_count_the_address_that_the_proxy_tells(start: Start) -> None:
    limits = Limits(Limit(1, 5), GENEROUS.user, GENEROUS.organization)
    behind_one = start({}, trusted_proxies=1, limits=limits)
    here, there = ({"x-forwarded-for": address} for address in ("203.0.113.7", "203.0.113.8"))
    assert 429 in [behind_one.get("/", headers=here).status_code for _ in range(100)]
    assert behind_one.get("/", headers=there).status_code == 503, "it passed; only nobody is behind"


def test_only_the_socket_path_becomes_a_socket(dana: Visit, people: People) -> None:
    opened = dana.upgrade("/api/v1/conversations", people.member())
    assert opened.status != 101
    opened.close()
