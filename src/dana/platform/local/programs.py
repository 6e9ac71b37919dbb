"""How a program of ours is started, waited for and stopped.

Every program dies with the process that started it, even when that one is killed: the kernel sends it its
stop signal (prctl PR_SET_PDEATHSIG on Linux). So a killed test run or supervisor leaves no server behind.
"""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from dana.platform.local.account import Account

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.02
PORTS = range(20_000, 32_000)

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class CannotStartError(RuntimeError):
    """One clear sentence for the person who started Dana."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, how to see that it is ready, and how to stop it."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    """Looks, without waiting long, whether the program does its work; must not raise."""
    is_alive: Callable[[], bool] | None = None
    """Looks whether it does anything at all, when that isn't the same as being ready; must not raise."""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("/")
    account: Account | None = None
    """The unprivileged account to run as, when we are root."""
    stop_signal: signal.Signals = signal.SIGTERM
    start_seconds: float = 30.0
    stop_seconds: float = 10.0


def spawn(program: Program, output: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own, bound to the life of the calling thread."""
    account = program.account
    try:
        return subprocess.Popen(
            program.command,
            cwd=program.folder,
            env={**_inherited(), **program.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_die_with_parent(program.stop_signal),  # noqa: PLW1509 - only one system call
        )
    except FileNotFoundError:
        raise CannotStartError(f"{program.command[0]} is missing; run `make setup`.") from None
    except PermissionError as error:
        raise CannotStartError(f"{program.name} can't be started: {error}.") from None


def wait_until_ready(program: Program, process: subprocess.Popen[bytes], log: Path | None = None) -> None:
    """Return when the program is ready; raises CannotStartError when it ends or takes too long."""
    deadline = time.monotonic() + program.start_seconds
    where = f"; see {log}" if log else ""
    while not program.is_ready():
        if process.poll() is not None:
            raise CannotStartError(f"{program.name} ended with code {process.returncode}{where}.")
        if time.monotonic() > deadline:
            stop(program, process)
            raise CannotStartError(f"{program.name} was not ready in {program.start_seconds:.0f} s{where}.")
        time.sleep(POLL_SECONDS)


def stop(program: Program, process: subprocess.Popen[bytes]) -> None:
    """Ask the program to stop, and kill all of its session when it doesn't."""
    if process.poll() is None:
        process.send_signal(program.stop_signal)
        try:
            process.wait(program.stop_seconds)
        except subprocess.TimeoutExpired:
            kill(process)
    process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and what it has started, at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def find_program(name: str) -> str | None:
    """Find a program beside python, where the set-up puts what it unpacks, or wherever the system has it."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nobody listens on at this moment.

    Below the range from which the kernel takes the ports of outgoing connections: there, a client that tries
    a stopped server again and again may one day connect to itself, and the server could never come back.
    """
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                listener.bind((host, port))
                return port
    raise CannotStartError(f"No port is free between {PORTS.start} and {PORTS.stop}.")


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    def ask_the_kernel() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(death_signal))

    return ask_the_kernel
