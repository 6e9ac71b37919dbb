"""etcd, which keeps the leader's lease. One member is enough here; a real installation has three."""

import shutil
import urllib.error
import urllib.request
from pathlib import Path

from dana.platform.local.account import Account
from dana.platform.local.programs import CannotStartError, Program, find_program

PROBE_SECONDS = 2.0


def etcd_program(folder: Path, port: int, peer_port: int, account: Account | None) -> Program:
    """Describe an etcd of one member that keeps its files in the folder."""
    program = _reachable(folder, account)
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    options = {
        "name": "one",
        "data-dir": str(folder / "etcd"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"one={peer}",
        "auto-compaction-retention": "1",  # hours; Patroni writes every few seconds, for ever
        "logger": "zap",
    }
    return Program(
        name="etcd",
        command=(str(program), *(f"--{name}={setting}" for name, setting in options.items())),
        is_ready=lambda: _is_healthy(client),
        folder=folder,
        account=account,
    )


def _reachable(folder: Path, account: Account | None) -> Path:
    """Return the program, or a copy of it where the account can't reach it."""
    found = find_program("etcd")
    if found is None:
        raise CannotStartError("etcd is missing: run `make test` once, or apt-get install etcd-server.")
    program = Path(found).resolve()
    if account is None or account.can_reach(program.parent):
        return program
    return Path(shutil.copy(program, folder / "etcd-program"))


def _is_healthy(client: str) -> bool:
    try:
        with urllib.request.urlopen(f"{client}/health", timeout=PROBE_SECONDS) as answer:
            return b'"true"' in answer.read()
    except (OSError, urllib.error.URLError):
        return False
