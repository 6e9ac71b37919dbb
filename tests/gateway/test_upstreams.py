"""How upstreams of several processes are called: the same one again, and none of the broken ones."""

import threading
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from dana.contracts.ids import OrgId
from dana.platform.gateway.model import (
    PROBE_PATH,
    Breaker,
    Ejection,
    Probe,
    Route,
    Sticky,
    Upstream,
    UpstreamPolicy,
)
from tests.gateway.backends import Backend, Failure, listening
from tests.gateway.conftest import People, Start
from tests.gateway.stands import Socket, Visit, until

PROBLEM = "application/problem+json"
EVERYTHING = (Route("/", Upstream.WEB),)


@pytest.fixture
def three() -> Iterator[list[Backend]]:
    with listening("one", "two", "three") as backends:
        yield backends


def test_processes_share_the_work(start: Start, three: list[Backend]) -> None:
    visit = start({Upstream.WEB: three}, routes=EVERYTHING)
    assert {visit.by("/") for _ in range(60)} == {"one", "two", "three"}


def test_sockets_of_one_organization_meet_on_one_node(
    start: Start, people: People, three: list[Backend]
) -> None:
    visit = start({Upstream.REALTIME: three})
    nodes: dict[OrgId, set[str]] = {}
    for org_id in [OrgId(uuid4()) for _ in range(40)]:
        for _ in range(4):
            opened = visit.upgrade(people.socket(org_id))
            nodes.setdefault(org_id, set()).add(opened.told["by"])
            opened.close()
    assert all(len(found) == 1 for found in nodes.values())
    assert len(set.union(*nodes.values())) == 3, "and the organizations are spread"


def test_a_node_that_is_much_busier_than_the_others_gets_no_more(
    start: Start, people: People, three: list[Backend]
) -> None:
    visit = start({Upstream.REALTIME: three})
    opened = [visit.upgrade(people.socket()) for _ in range(30)]
    spread = Counter(one.told["by"] for one in opened)
    assert max(spread.values()) <= 20
    assert len(spread) > 1
    for one in opened:
        one.close()


def test_whoever_loses_a_node_finds_the_same_other_one(
    start: Start, people: People, three: list[Backend]
) -> None:
    visit = start({Upstream.REALTIME: three})
    path = people.socket()
    first = _by(visit, path)
    left = [backend for backend in three if backend.name != first]
    visit.stand.point(Upstream.REALTIME, *left)
    until(lambda: _by(visit, path) != first)
    assert len({_by(visit, path) for _ in range(5)}) == 1
    visit.stand.point(Upstream.REALTIME, *three)
    until(lambda: _by(visit, path) == first)


def test_a_browser_comes_back_by_its_cookie(start: Start, three: list[Backend]) -> None:
    policies = {Upstream.WEB: UpstreamPolicy(sticky=Sticky.SESSION)}
    visit = start({Upstream.WEB: three}, routes=EVERYTHING, policies=policies)
    assert len({visit.by("/") for _ in range(10)}) == 1, "the client keeps its cookie"
    cookie = visit.get("/").headers.get("set-cookie")
    assert cookie is None, "it is given once"
    strangers = {httpx.get(visit.url).json()["by"] for _ in range(40)}
    assert len(strangers) > 1
    given = httpx.get(visit.url).headers["set-cookie"]
    assert "httponly" in given.lower()


def test_what_exceeds_the_breaker_hears_so_at_once(start: Start, three: list[Backend]) -> None:
    slow = three[0]
    policies = {Upstream.WEB: UpstreamPolicy(breaker=Breaker(requests=2))}
    visit = start({Upstream.WEB: [slow], Upstream.AUTH: [three[1]]}, policies=policies)
    slow.always = Failure.HANG
    held = [threading.Thread(target=lambda: httpx.post(f"{visit.url}/x", timeout=60)) for _ in range(2)]
    for thread in held:
        thread.start()
    until(lambda: slow.seen["POST /x"] == 2)
    refused = visit.post("/x")
    assert refused.status_code == 503
    assert refused.headers["content-type"] == PROBLEM
    assert refused.headers["retry-after"] == "1"
    assert slow.seen["POST /x"] == 2, "it never got there"
    assert visit.by("/api/v1/auth/login") == "two", "others are not held up"
    slow.always = None
    slow.let_go.set()
    for thread in held:
        thread.join()
    until(lambda: visit.post("/x").status_code == 200)


def test_a_broken_process_gets_nothing_however_well_its_probe_is(start: Start, three: list[Backend]) -> None:
    broken = three[0]
    policies = {Upstream.WEB: UpstreamPolicy(ejection=Ejection(failures=3, seconds=60, longest_seconds=60))}
    visit = start({Upstream.WEB: three}, routes=EVERYTHING, policies=policies)
    broken.always = 500
    until(lambda: _all_answer(visit))
    before, probed = broken.seen["POST /x"], broken.probed
    until(lambda: broken.probed >= probed + 3)
    assert [visit.post("/x").status_code for _ in range(20)] == [200] * 20
    assert broken.seen["POST /x"] == before


def test_an_ejected_process_comes_back(start: Start, three: list[Backend]) -> None:
    broken = three[0]
    policies = {Upstream.WEB: UpstreamPolicy(ejection=Ejection(failures=3, seconds=1, longest_seconds=1))}
    visit = start({Upstream.WEB: three}, routes=EVERYTHING, policies=policies)
    broken.always = 500
    until(lambda: _all_answer(visit))
    before = broken.seen["POST /x"]
    broken.always = None
    until(lambda: visit.post("/x").status_code == 200 and broken.seen["POST /x"] > before)


def test_who_breaks_connections_gets_nothing_for_a_while(start: Start, three: list[Backend]) -> None:
    breaking = three[0]
    policies = {Upstream.WEB: UpstreamPolicy(ejection=Ejection(failures=3, seconds=60, longest_seconds=60))}
    visit = start({Upstream.WEB: three}, routes=EVERYTHING, policies=policies)
    breaking.always = Failure.RESET
    until(lambda: _all_answer(visit))
    before = breaking.seen["POST /x"]
    assert [visit.post("/x").status_code for _ in range(20)] == [200] * 20
    assert breaking.seen["POST /x"] == before


def test_the_last_process_is_never_ejected(start: Start, three: list[Backend]) -> None:
    alone = three[0]
    policies = {Upstream.WEB: UpstreamPolicy(ejection=Ejection(failures=3))}
    visit = start({Upstream.WEB: [alone]}, routes=EVERYTHING, policies=policies)
    alone.always = 500
    assert {visit.post("/x").json()["by"] for _ in range(15)} == {"one"}


def test_a_process_that_says_it_is_unwell_gets_nothing(start: Start, three: list[Backend]) -> None:
    unwell = three[0]
    policies = {Upstream.WEB: UpstreamPolicy(probe=Probe(every_seconds=0.2, failures=1))}
    visit = start({Upstream.WEB: three}, routes=EVERYTHING, policies=policies)
    until(lambda: visit.by("/") == "one")
    unwell.is_well = False
    until(lambda: "one" not in {visit.by("/") for _ in range(20)})
    unwell.is_well = True
    until(lambda: visit.by("/") == "one")


def test_a_killed_process_costs_no_reader_an_answer(start: Start, three: list[Backend]) -> None:
    visit = start({Upstream.WEB: three}, routes=EVERYTHING)
    killed, *_ = three
    statuses = [visit.get("/").status_code for _ in range(10)]
    killed.shutdown()
    killed.server_close()
    statuses += [visit.get("/").status_code for _ in range(60)]
    assert statuses == [200] * 70


def test_a_killed_node_costs_no_socket_that_is_only_opening(
    start: Start, people: People, three: list[Backend]
) -> None:
    visit = start({Upstream.REALTIME: three})
    killed = three[0]
    killed.shutdown()
    killed.server_close()
    for org_id in [OrgId(uuid4()) for _ in range(20)]:
        opened = visit.upgrade(people.socket(org_id))
        assert opened.status == 101
        assert opened.echoes()
        opened.close()


def test_a_drained_process_keeps_its_sockets_and_gets_no_new_ones(
    start: Start, people: People, three: list[Backend]
) -> None:
    visit = start({Upstream.REALTIME: three})
    path = people.socket()
    opened = visit.upgrade(path)
    leaving = next(backend for backend in three if backend.name == opened.told["by"])
    visit.stand.point(Upstream.REALTIME, *(backend for backend in three if backend is not leaving))
    until(lambda: _by(visit, path) != leaving.name)
    assert opened.echoes(), "it lives on until its node says goodbye"
    leaving.close_sockets()
    assert opened.ends()
    opened.close()


def test_a_draining_gateway_breaks_nothing_and_lets_the_next_ones_go_elsewhere(
    start: Start, people: People, three: list[Backend]
) -> None:
    visit = start({Upstream.WEB: three[:1], Upstream.REALTIME: three[1:2]})
    opened = visit.upgrade(people.socket())
    visit.stand.drain()
    until(lambda: visit.get(PROBE_PATH).status_code == 503)
    answer = visit.get("/")
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close", "so the client's next request goes to another gateway"
    assert opened.echoes()
    visit.stand.resume()
    until(lambda: visit.get(PROBE_PATH).status_code == 200)
    assert "connection" not in visit.get("/").headers
    assert opened.echoes()
    opened.close()


def _by(visit: Visit, path: str) -> str:
    opened: Socket = visit.upgrade(path)
    opened.close()
    return opened.told.get("by", "")


def _all_answer(visit: Visit) -> bool:
    return all(visit.post("/x").status_code == 200 for _ in range(12))
