"""The fleet on paper: which processes a plan makes, where they are said to be, and what is refused."""

import json
from pathlib import Path

import pytest

from dana.platform.gateway.model import Gateway, Upstream
from dana.platform.gateway.routes import ROUTES
from dana.platform.local.fleet import Fleet, Plan, plan_of
from dana.platform.local.programs import CannotStartError, Program
from dana.platform.local.supervisor import Supervisor
from dana.platform.questions.directory import Directory


class Watched(Fleet):
    """A fleet whose processes aren't started."""

    @property
    def programs(self) -> dict[str, Program]:
        return {process.program.name: process.program for process in self._processes}


@pytest.fixture
def split(tmp_path: Path) -> Watched:
    plan = plan_of(is_split=True, replicas=["realtime=2", "knowledge=2"])
    fleet = Watched(plan, Gateway(0, tmp_path, (), ROUTES), Supervisor(tmp_path / "logs", lambda *_: None))
    fleet.write_endpoints()
    return fleet


def ports(folder: Path, service: str) -> list[int]:
    (assignment,) = json.loads((folder / f"endpoints-{service}.json").read_text())["resources"]
    assert assignment["cluster_name"] == service
    return [
        entry["endpoint"]["address"]["socket_address"]["port_value"]
        for entry in assignment["endpoints"][0]["lb_endpoints"]
    ]


def test_one_process_runs_everything_unless_split() -> None:
    assert Plan().processes() == {"services": tuple(Upstream)}
    plan = plan_of(is_split=True, replicas=["realtime=2"])
    assert list(plan.processes()) == [
        "auth",
        "conversations",
        "knowledge",
        "ai",
        "placement",
        "realtime",
        "realtime-2",
        "web",
    ]


@pytest.mark.parametrize(
    ("is_split", "replicas", "sentence"),
    [
        (False, ["ai=2"], "Replicas need processes of their own: add --split."),
        (True, ["mail=2"], "There is no service 'mail'; there are auth, conversations"),
        (True, ["ai"], "Say how many processes of ai there shall be, from 1 to 32: ai=2."),
        (True, ["ai=0"], "from 1 to 32"),
    ],
)
def test_a_plan_that_can_not_be_is_one_sentence(is_split: bool, replicas: list[str], sentence: str) -> None:
    with pytest.raises(CannotStartError, match=sentence):
        plan_of(is_split=is_split, replicas=replicas)


def test_only_ready_processes_are_named_unless_there_is_none(split: Watched, tmp_path: Path) -> None:
    both = ports(tmp_path, Upstream.REALTIME)
    assert len(set(both)) == 2  # nobody is ready: whoever comes is waited for
    split.changed(split.programs["realtime-2"], is_ready=True)
    assert ports(tmp_path, Upstream.REALTIME) == both[1:]
    split.changed(split.programs["realtime"], is_ready=True)
    assert ports(tmp_path, Upstream.REALTIME) == both
    split.changed(split.programs["realtime-2"], is_ready=False)
    assert ports(tmp_path, Upstream.REALTIME) == both[:1]
    split.changed(split.programs["realtime"], is_ready=False)
    assert ports(tmp_path, Upstream.REALTIME) == both


def test_sockets_have_a_port_and_a_file_of_their_own(split: Watched, tmp_path: Path) -> None:
    split.changed(split.programs["realtime-2"], is_ready=True)
    (http,), (sockets,) = ports(tmp_path, "realtime"), ports(tmp_path, "realtime-sockets")
    environment = split.programs["realtime-2"].environment
    assert (str(http), str(sockets)) == (environment["DANA_HTTP_PORT"], environment["DANA_REALTIME_PORT"])
    assert not (tmp_path / "endpoints-web-sockets.json").exists()


def test_other_services_find_them_in_the_same_files(split: Watched, tmp_path: Path) -> None:
    directory = Directory(tmp_path, {})
    assert len(directory.addresses("knowledge")) == 2
    split.changed(split.programs["knowledge"], is_ready=True)
    (port,) = ports(tmp_path, Upstream.KNOWLEDGE)
    assert directory.addresses("knowledge") == [f"http://127.0.0.1:{port}"]
    assert directory.addresses("mail") == []
    assert Directory(tmp_path, {"knowledge": "http://knowledge:8000"}).addresses("knowledge") == [
        "http://knowledge:8000"
    ]


async def test_what_does_not_run_can_not_be_restarted(split: Watched) -> None:
    with pytest.raises(CannotStartError, match="No process of its own runs 'mail'; there are auth, "):
        await split.restart("mail", lambda *_: None)


def test_the_connections_of_the_database_are_shared(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs", lambda *_: None)
    gateway = Gateway(0, tmp_path, (), ())
    one = Watched(Plan(), gateway, supervisor).programs["services"]
    many = Watched(Plan(True, {Upstream.AI: 10}), gateway, supervisor).programs["ai-10"]
    assert one.environment["DANA_POOL_SIZE"] == "8"
    assert 16 * 3 * int(many.environment["DANA_POOL_SIZE"]) <= 300
