"""For every event: apply(state before, events) == state fetched after."""

import os

import httpx
import pytest

from dana.contracts.events import ALL_EVENTS, event_type
from dana.platform.fanout import INTERNAL_EVENTS
from tests.conftest import SignUp
from tests.law import golden
from tests.law.reducer import REDUCERS, apply
from tests.law.scenarios import SCENARIOS, Scenario
from tests.law.stage import Played, Stage, quiet, watch
from tests.law.state import State, shown
from tests.services.realtime.listening import Node

NAMES = [scenario.name for scenario in SCENARIOS]


def test_every_event_that_members_see_has_a_scenario() -> None:
    seen = {event_type(event) for event in ALL_EVENTS} - INTERNAL_EVENTS
    played = {event_type(event) for scenario in SCENARIOS for event in scenario.shows}
    assert played == seen, "add a scenario to tests/law/scenarios.py"
    assert set(REDUCERS) == seen, "say in tests/law/reducer.py what the event does"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
async def test_what_is_applied_is_what_is_fetched(
    scenario: Scenario, sign_up: SignUp, client: httpx.AsyncClient, node: Node
) -> None:
    played = await _play(scenario, sign_up, client, node)
    assert {event_type(event) for event in scenario.shows} <= {event["type"] for event in played.events}
    _repeats_change_nothing(played)
    renewed = golden.recorded(played)
    if os.environ.get("WRITE_GOLDEN"):
        golden.write(scenario.name, renewed)
    assert golden.read(scenario.name) == renewed, golden.OUT_OF_DATE


def test_no_golden_file_is_left_over() -> None:
    assert sorted(golden.names()) == sorted(NAMES), golden.OUT_OF_DATE


async def _play(scenario: Scenario, sign_up: SignUp, client: httpx.AsyncClient, node: Node) -> Played:
    elder = await sign_up("Zoe") if scenario.name.startswith("join_who") else None
    owner = await sign_up("Ana")
    stage = Stage(owner, client, sign_up)
    if elder:
        stage.props["elder"] = (await elder.http.get("/api/v1/auth/me")).json()["user"]
    await scenario.prepare(stage)
    start = (shown(State()), 0) if scenario.begins_with_nothing else await quiet(owner)
    return await watch(stage, node, start, lambda: scenario.act(stage), scenario.is_over)


def _repeats_change_nothing(played: Played) -> None:
    """Apply everything that came after any moment once more, and each event many times."""
    after = State.of(played.after)
    for start in range(len(played.events)):
        state = after
        for event in played.events[start:]:
            state = apply(apply(state, event), event)
        assert shown(state) == played.after
