"""What the gateway repeats after a failure, counted by the backend: reading always, writing only with a key.

"Nobody listened" is no repetition: nothing has arrived anywhere.
"""

import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from dana.platform.gateway.model import Route, Upstream
from dana.platform.local.programs import free_port
from tests.gateway.backends import Backend, Failure, listening
from tests.gateway.conftest import People, Start
from tests.gateway.stands import Visit

MESSAGES = "/api/v1/conversations/1/messages"
FAILURES = [503, 502, 504, Failure.RESET]
KEY = {"idempotency-key": "0191d7b2-5f3e-7c11-9a52-2f5f0f6d3c11"}


@pytest.fixture
def counting(backends: dict[Upstream, Backend]) -> Backend:
    return backends[Upstream.CONVERSATIONS]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_is_repeated(
    dana: Visit, people: People, counting: Backend, method: str, failure: int | Failure
) -> None:
    counting.planned = [failure, failure]
    answer = dana.client.request(method, "/api/v1/conversations", headers=people.member())
    assert answer.status_code == 200
    assert counting.seen[f"{method} /api/v1/conversations"] == 3


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_writing_is_never_repeated(
    dana: Visit, people: People, counting: Backend, method: str, failure: int | Failure
) -> None:
    counting.planned = [failure]
    answer = dana.client.request(method, MESSAGES, headers=people.member())
    assert answer.status_code == (failure if isinstance(failure, int) else 503)
    assert counting.seen[f"{method} {MESSAGES}"] == 1


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    "path",
    [MESSAGES, "/api/v1/widget/conversations/1/messages", "/api/v1/widget/pk_1/conversations"],
)
def test_a_post_with_a_key_is_repeated_where_the_service_honours_it(
    dana: Visit, people: People, counting: Backend, path: str, failure: int | Failure
) -> None:
    counting.planned = [failure, failure]
    token = people.visitor() if "widget" in path else people.member()
    answer = dana.post(path, headers=token | KEY, json={"text": "hello"})
    assert answer.status_code == 200
    assert answer.json()["headers"]["idempotency-key"] == KEY["idempotency-key"]
    assert answer.json()["body_bytes"] > 0, "the body is sent again as well"
    assert counting.seen[f"POST {path}"] == 3


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("path", ["/api/v1/conversations/1/resolve", "/api/v1/inboxes"])
def test_a_key_counts_for_nothing_where_no_service_honours_it(
    dana: Visit, people: People, counting: Backend, path: str, failure: int | Failure
) -> None:
    counting.planned = [failure]
    assert dana.post(path, headers=people.member() | KEY).status_code >= 500
    assert counting.seen[f"POST {path}"] == 1


def test_an_empty_key_is_none(dana: Visit, people: People, counting: Backend) -> None:
    counting.planned = [503]
    answer = dana.post(MESSAGES, headers=people.member() | {"idempotency-key": ""})
    assert answer.status_code == 503
    assert counting.seen[f"POST {MESSAGES}"] == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500])
def test_what_a_service_has_decided_is_not_asked_again(
    dana: Visit, people: People, counting: Backend, status: int
) -> None:
    counting.planned = [status]
    assert dana.get("/api/v1/conversations", headers=people.member()).status_code == status
    counting.planned = [status]
    assert dana.post(MESSAGES, headers=people.member() | KEY).status_code == status
    assert set(counting.seen.values()) == {1}


def test_patience_ends(dana: Visit, people: People, counting: Backend) -> None:
    counting.always = 503
    assert dana.get("/api/v1/conversations", headers=people.member()).status_code == 503
    assert counting.seen["GET /api/v1/conversations"] == 1 + dana.stand.model.retries.attempts


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Backend]]:
    with listening("one", "two") as both:
        yield both


def test_another_process_is_asked_before_the_same_one_again(
    start: Start, people: People, pair: list[Backend]
) -> None:
    visit = start({Upstream.CONVERSATIONS: pair})
    one, two = pair
    one.planned, two.planned = [503], [503]
    for _ in range(10):
        assert visit.get("/api/v1/inboxes", headers=people.member()).status_code == 200
    assert not one.planned
    assert not two.planned
    assert one.seen.total() + two.seen.total() == 12


def test_a_post_waits_for_a_process_that_comes_back_and_arrives_once(start: Start, people: People) -> None:
    """Nobody listens, so nothing has been sent: that isn't a repetition."""
    port = free_port()
    late: list[Backend] = []
    visit = start({Upstream.CONVERSATIONS: [port]})
    answers: list[httpx.Response] = []

    def write() -> None:
        answers.append(visit.post("/api/v1/inboxes", headers=people.member()))

    writing = threading.Thread(target=write)
    writing.start()
    time.sleep(0.3)  # long enough for some refusals, short enough for the gateway's patience
    late.append(Backend("late", port))
    writing.join()
    try:
        assert answers[0].status_code == 200
        assert late[0].seen["POST /api/v1/inboxes"] == 1
    finally:
        late[0].close()


def test_an_answer_that_takes_too_long_is_given_up(start: Start, people: People, pair: list[Backend]) -> None:
    one, _ = pair
    route = Route("/slow", Upstream.WEB, timeout_seconds=0.5, honours_keys=True)
    visit = start({Upstream.WEB: [one]}, routes=(route,))
    one.always = Failure.HANG
    try:
        for method, headers in (("GET", {}), ("POST", {}), ("POST", KEY)):
            one.seen.clear()
            answer = visit.client.request(method, "/slow", headers=headers, timeout=10)
            assert answer.status_code == 504
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == "urn:dana:problem:unavailable"
            assert one.seen[f"{method} /slow"] == 1
    finally:
        one.always = None
        one.let_go.set()
