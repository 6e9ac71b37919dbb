"""RabbitMQ for tests: it starts, comes back, and leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dana.platform.local.rabbitmq import start_rabbitmq

ALONE = """
import sys, time
from pathlib import Path
from dana.platform.local.rabbitmq import start_rabbitmq

start_rabbitmq(Path(sys.argv[1]))
print("started", flush=True)
time.sleep(600)
"""


def processes_of(folder: Path) -> list[str]:
    """The command of every process that was told of this folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            told = f"HOME={folder}" in (process / "environ").read_text(errors="replace")
            command = (process / "cmdline").read_text(errors="replace")
        except OSError:
            continue
        if told and command:
            found.append(command)
    return found


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_node_starts_is_killed_comes_back_and_leaves_nothing(tmp_path: Path) -> None:
    broker = start_rabbitmq(tmp_path)
    [node] = broker.nodes
    try:
        assert broker.evaluate(node, "node().") == "r1@localhost"
        assert any("beam" in command for command in processes_of(tmp_path))
        assert any("epmd" in command for command in processes_of(tmp_path))
        node.kill()
        node.start()
        assert broker.evaluate(node, "1 + 1.") == "2"
        with pytest.raises(RuntimeError, match="can't evaluate"):
            broker.evaluate(node, "no_such_module:f().")
    finally:
        broker.stop()
    until(lambda: processes_of(tmp_path) == [])


def test_it_ends_with_the_process_that_started_it_even_when_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        assert processes_of(tmp_path)
        os.kill(parent.pid, signal.SIGKILL)
    until(lambda: processes_of(tmp_path) == [])
