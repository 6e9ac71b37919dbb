"""What must be true before Dana starts; whatever isn't is told in one sentence."""

import errno
import fcntl
import json
import os
import resource
import shutil
import socket
from pathlib import Path
from typing import Any

from dana.platform.local.programs import CannotStartError

NEEDED_BYTES = 300 * 1024 * 1024
DESCRIPTORS = 65_536


def usable_folder(data_dir: Path) -> None:
    """Make the data folder, and check that it can be written and has room."""
    probe = data_dir / ".write-probe"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CannotStartError(f"The disk with {data_dir} is full.") from None
        raise CannotStartError(f"The data folder {data_dir} can't be written: {error.strerror}.") from None
    free = shutil.disk_usage(data_dir).free
    if free < NEEDED_BYTES:
        raise CannotStartError(
            f"The disk with {data_dir} is almost full: {free // 2**20} MiB are left, "
            f"{NEEDED_BYTES // 2**20} MiB are needed."
        )


def free_to_listen(host: str, port: int, setting: str = "make up PORT=") -> None:
    """Check that nobody listens on a public port; `setting` is how another one is chosen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except PermissionError:
            raise CannotStartError(
                f"Port {port} needs more rights; choose one above 1023: {setting}8080."
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStartError(
                    f"Port {port} is in use by another program; choose another: {setting}{port + 1}."
                ) from None
            raise CannotStartError(f"Dana can't listen on {host}:{port}: {error.strerror}.") from None


class InstanceLock:
    """Held by the one `dana up` of a data folder; the kernel releases it however that ends.

    Python opens files so that children don't inherit them; a server left behind can't hold the lock.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "instance.json"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, url: str) -> None:
        """Take the lock and write who holds it; raises CannotStartError when another has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStartError(self._who_runs()) from None
        self.write({"pid": os.getpid(), "url": url})

    def write(self, content: dict[str, Any]) -> None:
        """Say what runs, for those who look into the data folder."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(content).encode(), 0)

    def release(self) -> None:
        """Let the next one start."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _who_runs(self) -> str:
        try:
            holder = json.loads(self._path.read_text())
            who = f" at {holder['url']} (process {holder['pid']})"
        except (ValueError, KeyError):
            who = ""
        return f"Dana already runs on {self._path.parent}{who}; stop it first, or choose another: DATA=…"


def allow_many_connections() -> None:
    """Raise the limit of open files as far as the system lets us; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
