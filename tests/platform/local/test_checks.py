"""What keeps Dana from starting is one clear sentence each."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dana.platform.local import checks
from dana.platform.local.machine import limits_from_environment, trusted_proxies_from_environment
from dana.platform.local.programs import CannotStartError

HOLD = """
import sys
from pathlib import Path
from dana.platform.local.checks import InstanceLock
InstanceLock(Path(sys.argv[1])).take("http://localhost:8080")
import subprocess
child = subprocess.Popen(["sleep", "30"], close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""


class Usage(NamedTuple):
    """What shutil.disk_usage says."""

    total: int
    used: int
    free: int


def test_a_busy_port(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotStartError, match=rf"Port {port} is in use.*make up PORT={port + 1}"):
            checks.free_to_listen("127.0.0.1", port)
    checks.free_to_listen("127.0.0.1", port)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full: Callable[[Path], Usage] = lambda _: Usage(100, 99, 2**20)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", full)
    with pytest.raises(CannotStartError, match="almost full: 1 MiB are left, 300 MiB are needed"):
        checks.usable_folder(tmp_path)


def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(CannotStartError, match="can't be written"):
        checks.usable_folder(tmp_path / "data")


def test_a_running_instance_even_when_it_left_a_child(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin
    assert holder.stdout
    child = int(holder.stdout.readline())
    lock = checks.InstanceLock(tmp_path)
    try:
        with pytest.raises(CannotStartError, match=r"already runs on .*http://localhost:8080"):
            lock.take("http://localhost:9999")
        holder.kill()
        holder.wait()
        lock.take("http://localhost:9999")  # the child doesn't hold it
        lock.release()
    finally:
        os.kill(child, 9)
        holder.stdin.close()
        holder.stdout.close()


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANA_LIMIT_ADDRESS", "5000")
    assert limits_from_environment().address.per_second == 5000
    assert limits_from_environment().user.per_second == 100
    monkeypatch.setenv("DANA_LIMIT_USER", "many")
    with pytest.raises(CannotStartError, match="DANA_LIMIT_USER must be a whole number"):
        limits_from_environment()


def test_proxies_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DANA_TRUSTED_PROXIES", raising=False)
    assert trusted_proxies_from_environment() == 0
    monkeypatch.setenv("DANA_TRUSTED_PROXIES", "2")
    assert trusted_proxies_from_environment() == 2
    monkeypatch.setenv("DANA_TRUSTED_PROXIES", "10.0.0.0/8")
    with pytest.raises(CannotStartError, match="says how many there are"):
        trusted_proxies_from_environment()
