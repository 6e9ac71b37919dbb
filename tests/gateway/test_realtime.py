"""Sockets and streams: whose token opens them, how long they stay, and that nothing is held back."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from uuid import uuid4

import httpx
import jwt
import pytest

from dana.contracts.ids import OrgId
from dana.platform.gateway.model import Clients, Tls, Upstream
from dana.platform.gateway.routes import ROUTES
from tests.gateway.backends import STREAM, Backend, listening
from tests.gateway.certificates import make_certificate
from tests.gateway.conftest import People, Start
from tests.gateway.stands import Visit, trusting, until

SOCKET = "/api/v1/realtime"
BOTH = (SOCKET, STREAM)
NORMAL = ("/api/v1/inboxes", "/api/v1/auth/me", f"{SOCKET}/token", f"{SOCKET}/typing")
SHOP = {"origin": "https://shop.example"}
HASTY = tuple(replace(route, timeout_seconds=0.5) if route.is_stream else route for route in ROUTES)


@pytest.fixture
def three() -> Iterator[list[Backend]]:
    with listening("one", "two", "three") as nodes:
        yield nodes


@contextmanager
def reading(visit: Visit, path: str, **headers: str) -> Iterator[httpx.Response]:
    asked = {"accept": "text/event-stream", "accept-encoding": "gzip"} | headers
    with httpx.stream("GET", f"{visit.url}{path}", headers=asked, timeout=20) as answer:
        yield answer


def refused(visit: Visit, path: str) -> bool:
    """Tell whether neither a socket nor a stream opens."""
    if path.startswith(STREAM):
        answer = visit.get(path)
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code in (401, 403)
    opened = visit.upgrade(path)
    opened.close()
    return opened.status in (401, 403)


def test_a_realtime_token_opens_a_socket_and_its_node_learns_whose_it_is(dana: Visit, people: People) -> None:
    for token in (people.opening(), people.visitors_opening()):
        opened = dana.upgrade(f"{SOCKET}?cursor=7&token={token}")
        assert opened.status == 101
        assert opened.told["by"] == "realtime"
        assert opened.told["x-dana-organization"] == str(people.org_id)
        assert f"cursor=7&token={token}" in opened.told["path"], "the node looks at it again"
        assert opened.echoes()
        opened.close()


@pytest.mark.parametrize("path", BOTH)
def test_no_other_token_opens_one(
    dana: Visit, people: People, backends: dict[Upstream, Backend], path: str
) -> None:
    visitors = people.visitor()["authorization"].removeprefix("Bearer ")
    for token in (people.token(), visitors, "nonsense", "", people.opening()[:-6] + "AAAAAA"):
        assert refused(dana, f"{path}?token={token}"), token
    assert refused(dana, path)
    assert refused(dana, f"{path}?access_token={people.opening()}")
    assert dana.get(path, headers=people.member()).status_code == 401, "a header opens nothing"
    assert not backends[Upstream.REALTIME].seen


@pytest.mark.parametrize("path", BOTH)
def test_an_expired_or_unsigned_one_is_refused(dana: Visit, people: People, path: str) -> None:
    good = people.opening()
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = {"kid": jwt.get_unverified_header(good)["kid"]}
    key = people.keys._secrets.member_key
    late = jwt.encode(claims | {"exp": time.time() - 60}, key, algorithm="ES256", headers=kid)
    endless = {name: said for name, said in claims.items() if name != "exp"}
    swapped = jwt.encode(claims, people.keys._secrets.visitor_key, algorithm="ES256", headers=kid)
    for token in (
        late,
        swapped,
        jwt.encode(endless, key, algorithm="ES256", headers=kid),
        jwt.encode(claims, "", algorithm="none"),
    ):
        assert refused(dana, f"{path}?token={token}")


@pytest.mark.parametrize(
    "path", ["/api/v1/inboxes", "/api/v1/auth/me", f"{SOCKET}/token", f"{SOCKET}/typing"]
)
def test_a_realtime_token_is_good_for_nothing_else(dana: Visit, people: People, path: str) -> None:
    token = people.opening()
    assert dana.get(path, headers={"authorization": f"Bearer {token}"}).status_code in (401, 403)
    assert dana.get(f"{path}?token={token}").status_code == 401
    assert dana.get(path, headers=people.member()).json()["by"] in ("conversations", "auth", "realtime")


@pytest.mark.parametrize("name", ["token", "typing"])
def test_members_and_visitors_ask_for_tokens_and_say_that_they_type(
    dana: Visit, people: People, name: str
) -> None:
    for who in (people.member(), people.visitor()):
        answer = dana.post(f"{SOCKET}/{name}", headers=who | SHOP)
        assert answer.json()["by"] == "realtime"
        assert answer.json()["headers"]["x-dana-organization"] == str(people.org_id)
        assert answer.headers["access-control-allow-origin"] == SHOP["origin"], "the widget is on other pages"
    assert dana.post(f"{SOCKET}/{name}").status_code == 401
    assert dana.post(f"{SOCKET}/{name}?token={people.opening()}").status_code == 401
    assert dana.post(f"{SOCKET}/{name}", headers=people.member(ttl=-60)).status_code == 401


def test_a_stream_flows_event_by_event(
    dana: Visit, people: People, backends: dict[Upstream, Backend]
) -> None:
    feed = backends[Upstream.REALTIME].feed
    with reading(dana, people.stream(), **SHOP | {"last-event-id": "41"}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["access-control-allow-origin"] == SHOP["origin"]
        assert "content-encoding" not in answer.headers, "a compressor would wait for more"
        assert answer.headers["x-seen-x-dana-organization"] == str(people.org_id)
        assert answer.headers["x-seen-last-event-id"] == "41"
        parts = answer.iter_raw()
        for number in range(20):
            event = b"data: %d\n\n" % number
            feed.put(event)
            assert next(parts) == event, "it is here before the next one is there"
        feed.put(None)
        assert b"".join(parts) == b""


def test_a_stream_flows_over_http2_beside_other_requests(start: Start, people: People) -> None:
    with listening("node") as (node,):
        certificate = make_certificate("localhost")
        visit = start({Upstream.REALTIME: [node]}, tls=Tls(), certificate=certificate)
        with (
            httpx.Client(http2=True, verify=trusting(), base_url=visit.url, timeout=20) as browser,
            browser.stream("GET", people.stream()) as answer,
        ):
            assert answer.http_version == "HTTP/2"
            parts = answer.iter_raw()
            for number in range(5):
                node.feed.put(b"data: %d\n\n" % number)
                assert next(parts) == b"data: %d\n\n" % number
                assert browser.post(f"{SOCKET}/typing", headers=people.member()).json()["by"] == "node"


def test_a_stream_outlives_the_time_in_which_others_must_have_answered(start: Start, people: People) -> None:
    with listening("node") as (node,):
        visit = start({Upstream.REALTIME: [node]}, routes=HASTY)
        with reading(visit, people.stream()) as answer:
            parts, until_then = answer.iter_raw(), time.monotonic() + 2
            while time.monotonic() < until_then:
                node.feed.put(b":\n\n")
                assert next(parts) == b":\n\n"
                time.sleep(0.1)  # heartbeats


def test_a_silent_node_loses_its_streams_and_sockets(start: Start, people: People) -> None:
    with listening("node") as (node,):
        visit = start({Upstream.REALTIME: [node]}, clients=Clients(quiet_seconds=0.5))
        with reading(visit, people.stream()) as answer, pytest.raises(httpx.RemoteProtocolError):
            answer.read()
        opened = visit.upgrade(people.socket())
        assert opened.status == 101
        assert opened.ends()
        opened.close()


def test_who_leaves_a_stream_is_not_kept_at_its_node(start: Start, people: People) -> None:
    with listening("node") as (node,):
        visit = start({Upstream.REALTIME: [node]})
        with reading(visit, people.stream()) as answer:
            node.feed.put(b":\n\n")
            assert next(answer.iter_raw()) == b":\n\n"

        def is_told() -> bool:
            node.feed.put(b":\n\n")
            return node.lost.is_set()

        until(is_told)


def test_sockets_and_streams_of_one_organization_meet_in_one_process(
    start: Start, people: People, three: list[Backend]
) -> None:
    with listening(*(node.name for node in three)) as their_sockets:
        visit = start({Upstream.REALTIME: three})
        visit.stand.point(Upstream.REALTIME, *three, sockets=their_sockets)
        for node in three:
            node.is_chatty = True
        until(lambda: bool(_process(visit, people.socket())) and any(one.sockets for one in their_sockets))
        nodes: dict[OrgId, str] = {}

        def is_one_process(org_id: OrgId) -> bool:
            """Ask until nothing is left of the one before: a busier process would get nothing more."""
            with reading(visit, people.stream(org_id)) as answer:
                nodes[org_id] = answer.headers["x-by"]
                return _process(visit, people.socket(org_id)) == nodes[org_id]

        for org_id in [OrgId(uuid4()) for _ in range(20)]:
            until(partial(is_one_process, org_id))
    assert len(set(nodes.values())) == 3, "and the organizations are spread"


def test_no_token_is_ever_logged(dana: Visit, people: People, backends: dict[Upstream, Backend]) -> None:
    tokens = [people.opening(), people.opening(), people.token(), people.opening()]
    dana.upgrade(f"{SOCKET}?token={tokens[0]}&cursor=1").close()
    backends[Upstream.REALTIME].feed.put(None)
    with reading(dana, f"{STREAM}?token={tokens[1]}") as answer:
        answer.read()
    dana.get(f"{STREAM}?token={tokens[2]}")
    dana.get(f"/api/v1/inboxes?token={tokens[3]}")
    dana.get("/the-last")
    until(lambda: any(entry["path"] == "/the-last" for entry in _logged(dana)))
    paths = {entry["path"] for entry in _logged(dana)}
    assert {SOCKET, STREAM} <= paths
    text = dana.stand.log.read_text()
    for token in tokens:
        assert token.split(".")[2] not in text
    assert "token=" not in text


def _process(visit: Visit, path: str) -> str:
    opened = visit.upgrade(path)
    opened.close()
    return opened.told.get("by", "")


def _logged(dana: Visit) -> list[dict[str, str]]:
    lines = dana.stand.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
