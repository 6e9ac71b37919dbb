"""`dana up` as a person runs it: starts, survives crashes, refuses a second one, stops and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from dana.platform.local.programs import free_port

pytestmark = pytest.mark.xdist_group("up")  # they share one, and the last test ends it

START_SECONDS = 90  # the machine may be busy with other tests
SIGN_UP = {
    "email": "ana@example.com",
    "password": "a long enough password",
    "name": "Ana",
    "organization": "A",
}


@dataclass
class Up:
    """A `dana up` in a process of its own."""

    data: Path
    port: int
    process: subprocess.Popen[str]
    output: Path
    token: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pid(self, name: str) -> int:
        return int((self.data / "logs" / f"{name}.pid").read_text())

    def pids(self) -> list[int]:
        return [self.pid(name) for name in ("postgres", "valkey", "gateway", "services")]

    def is_serving(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def can_sign_in(self) -> bool:
        login = {name: SIGN_UP[name] for name in ("email", "password")}
        try:
            answer = httpx.post(f"{self.url}/api/v1/auth/login", json=login, timeout=30)
        except httpx.HTTPError:
            return False
        assert answer.status_code in (200, 502, 503), answer.text
        return answer.status_code == 200


def start(data: Path, port: int) -> Up:
    output = data.with_suffix(f".{time.monotonic_ns()}.txt")
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dana", "up", "--data", str(data), "--port", str(port)],
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={name: text for name, text in os.environ.items() if not name.startswith("DANA_")},
        )
    up = Up(data, port, process, output)
    until(lambda: "Dana is ready" in output.read_text() or process.poll() is not None, START_SECONDS)
    return up


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for it, and return how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.05)
    return time.monotonic() - began


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def dana(command: str, data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "dana", command, *arguments, "--data", str(data)]


def backup(up: Up, command: str) -> list[dict[str, str]]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")}
    line = [sys.executable, "-m", "dana", "backup", command, "--data", str(up.data)]
    run = subprocess.run(line, capture_output=True, text=True, env=environment, check=True)
    return [json.loads(printed) for printed in run.stdout.splitlines()]


def frames_of(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """Read what a stream says, until it ends."""
    lines = (line for line in answer.iter_lines() if line.startswith("data: "))
    return (json.loads(line.removeprefix("data: ")) for line in lines)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="dana-test-up-") as folder:
        Path(folder).chmod(0o755)  # so that PostgreSQL's account reaches it, and its files go with it
        running = start(Path(folder) / "data", free_port())
        assert running.process.poll() is None, running.output.read_text()
        signed_up = httpx.post(f"{running.url}/api/v1/auth/signup", json=SIGN_UP, timeout=30)
        assert signed_up.status_code == 201, signed_up.text
        running.token = signed_up.json()["access_token"]
        yield running
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def test_it_serves_the_api_behind_the_gateway(up: Up) -> None:
    assert up.is_serving()
    assert httpx.get(f"{up.url}/api/v1/inboxes").status_code == 401
    inboxes = httpx.get(f"{up.url}/api/v1/inboxes", headers={"authorization": f"Bearer {up.token}"})
    assert inboxes.status_code == 200, inboxes.text


def test_secrets_and_logs_are_private(up: Up) -> None:
    private = [*(up.data / "secrets").iterdir(), *(up.data / "logs").glob("*.log")]
    private += [up.data / "instance.json", up.data / "postgres.password", up.data / "gateway" / "envoy.json"]
    assert [path for path in private if path.stat().st_mode & 0o077] == []


def test_a_second_one_is_refused_in_one_sentence(up: Up) -> None:
    for data, port, sentence in (
        (up.data, free_port(), "Dana already runs on"),
        (up.data.with_name("other"), up.port, f"Port {up.port} is in use"),
    ):
        second = start(data, port)
        assert second.process.wait() == 1
        said = second.output.read_text()
        assert said.startswith(sentence)
        assert len(said.strip().splitlines()) == 1
    assert up.is_serving()


@pytest.mark.parametrize("name", ["services", "gateway", "valkey", "postgres"])
def test_a_killed_part_comes_back_by_itself(up: Up, name: str) -> None:
    before = up.pid(name)
    os.kill(before, signal.SIGKILL)
    until(lambda: up.pid(name) != before and up.can_sign_in(), START_SECONDS)


def test_a_restart_replaces_the_process_while_it_goes_on_answering(up: Up) -> None:
    before = up.pid("services")
    restarting = subprocess.Popen(dana("restart", up.data), stdout=subprocess.PIPE, text=True)
    while restarting.poll() is None:
        assert httpx.get(f"{up.url}/readyz", timeout=30).status_code == 200
        assert up.can_sign_in()
    assert restarting.stdout
    news = [json.loads(line) for line in restarting.stdout]
    restarting.stdout.close()
    assert [one["process"] for one in news] == ["services", "services"]
    assert up.pid("services") != before
    assert is_running(up.pid("services"))
    assert not is_running(before)
    os.kill(up.process.pid, signal.SIGUSR1)  # without a request it does nothing
    assert up.is_serving()
    assert list((up.data / "restarts").iterdir()) == []


def test_a_stream_flows_through_the_gateway_and_hears_of_a_restart(up: Up) -> None:
    member = {"authorization": f"Bearer {up.token}"}
    path = f"{up.url}/api/v1/realtime"
    token = httpx.post(f"{path}/token", headers=member).json()["token"]
    assert httpx.get(f"{path}/stream", params={"token": up.token}).status_code in (401, 403)
    with httpx.stream("GET", f"{path}/stream", params={"token": token}, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        frames = frames_of(answer)
        assert next(frames)["type"] == "hello"
        inbox = {"name": "Web", "channel": "web_widget"}
        httpx.post(f"{up.url}/api/v1/inboxes", json=inbox, headers=member)
        heard = next(frame for frame in frames if frame["type"] == "event")
        assert heard["event"]["type"] == "inbox_created"
        restarting = subprocess.Popen(dana("restart", up.data), stdout=subprocess.DEVNULL)
        bye = list(frames)[-1]
        assert (bye["type"], bye["code"]) == ("bye", 1012)
        assert restarting.wait(60) == 0
    assert token.split(".")[2] not in (up.data / "logs" / "gateway.log").read_text()


def test_a_restart_that_can_not_be_is_one_sentence(up: Up) -> None:
    for data, service, sentence in (
        (up.data, "realtime", "No process of its own runs 'realtime'; there are services."),
        (up.data.with_name("nowhere"), "realtime", "No Dana runs on"),
    ):
        run = subprocess.run(dana("restart", data, service), capture_output=True, text=True, check=False)
        assert run.returncode == 1
        assert run.stderr.startswith(sentence)
        assert len(run.stderr.strip().splitlines()) == 1
    assert up.is_serving()


def test_from_its_first_backup_on_the_log_is_received_and_a_kill_leaves_nothing_behind(up: Up) -> None:
    assert not (up.data / "logs" / "backup.pid").exists()
    (taken,) = backup(up, "run")
    until(lambda: (up.data / "logs" / "backup.pid").exists() and is_running(up.pid("backup")), START_SECONDS)
    until(lambda: backup(up, "list")[0]["restorable_to"] > taken["ended_at"], START_SECONDS)

    pids = [*up.pids(), up.pid("backup")]
    up.process.kill()
    up.process.wait()
    until(lambda: not any(is_running(pid) for pid in pids), 30)

    again = start(up.data, up.port)
    assert again.is_serving(), again.output.read_text()
    pids = [*again.pids(), again.pid("backup")]
    assert all(is_running(pid) for pid in pids)
    assert again.can_sign_in()

    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(60) == 0
    assert "Your data stays in" in again.output.read_text()
    assert not any(is_running(pid) for pid in pids)
