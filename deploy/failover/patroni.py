"""One node: a Patroni and the PostgreSQL that it runs. Patroni's settings are JSON, which is also YAML."""

import contextlib
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dana.platform.local.account import Account
from dana.platform.local.postgres import ADMIN, SETTINGS
from dana.platform.local.programs import Program

SCOPE = "dana"
REPLICATION, REWIND = "dana_replication", "dana_rewind"
PROBE_SECONDS = 2.0

# A leader that is gone is followed after at most `ttl` seconds. Shorter, and a short stall of etcd or of the
# network takes a healthy leader down: Patroni asks for ttl >= loop_wait + 2 * retry_timeout.
TTL_SECONDS, LOOP_SECONDS, RETRY_SECONDS = 20, 5, 5

POSTGRESQL = {
    "wal_level": "logical",
    "synchronous_commit": "on",
    "wal_sender_timeout": "5s",  # every commit waits for the standby: one that hangs must be noticed soon
    "wal_receiver_timeout": "5s",
    "tcp_keepalives_idle": "5",  # a client whose machine is gone must not hold locks for hours
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

HBA = [
    "local all all scram-sha-256",
    "host all all 127.0.0.1/32 scram-sha-256",
    f"host replication {REPLICATION} 127.0.0.1/32 scram-sha-256",
]


class Passwords(msgspec.Struct, frozen=True):
    """Of the three database roles that the nodes themselves use."""

    administrator: str
    replication: str
    rewind: str


class Member(msgspec.Struct, frozen=True):
    """One node as Patroni sees it; `lag` is in bytes, and a word when it isn't known."""

    name: str
    role: str
    state: str
    port: int = 0
    timeline: int = 0
    lag: int | str = 0

    @property
    def is_leader(self) -> bool:
        """Whether it takes writes."""
        return self.role == "leader" and self.state == "running"

    @property
    def is_in_step(self) -> bool:
        """Whether it follows the leader and has everything; a node still being copied has an unknown lag."""
        return self.role in ("replica", "sync_standby") and self.state == "streaming" and self.lag == 0


class _Members(msgspec.Struct):
    members: list[Member] = []


@dataclass(frozen=True, slots=True)
class Installation:
    """What all nodes have in common."""

    home: Path
    binaries: Path
    python: Path
    packages: Path
    etcd_port: int
    passwords: Passwords
    is_synchronous: bool
    settings: Mapping[str, str]
    account: Account | None


@dataclass(frozen=True, slots=True)
class Node:
    """One node's name and ports, and where it keeps its files."""

    name: str
    port: int
    api_port: int
    folder: Path

    @property
    def cluster(self) -> Path:
        """The files of its PostgreSQL."""
        return self.folder / "cluster"

    def postmaster(self) -> int | None:
        """Return the process that serves its files, if there is one."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.cluster).encode() in command else None


def node_program(node: Node, installation: Installation) -> Program:
    """Write the node's settings and describe its Patroni."""
    settings = node.folder / "patroni.json"
    settings.touch(mode=0o600)
    settings.write_text(json.dumps(_settings(node, installation), indent=2))
    if installation.account:
        os.chown(settings, installation.account.uid, installation.account.gid)
    return Program(
        name=node.name,
        # Without `site`, so that packages of the system's Python stay out.
        command=(str(installation.python), "-S", "-m", "patroni", str(settings)),
        is_ready=lambda: bool(members(node.api_port)),
        environment={
            "PYTHONPATH": str(installation.packages),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(node.folder),
            "LC_ALL": "C.UTF-8",
        },
        folder=node.folder,
        account=installation.account,
        stop_seconds=30.0,  # PostgreSQL writes a checkpoint, and a leader waits for its standbys
    )


def members(api_port: int) -> list[Member]:
    """Ask a node for all members; none when it doesn't answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{api_port}/cluster", timeout=PROBE_SECONDS) as answer:
            return msgspec.json.decode(answer.read(), type=_Members).members
    except (OSError, urllib.error.URLError):
        return []


def kill_node(node: Node, patroni: subprocess.Popen[bytes]) -> None:
    """Kill everything of a node at once, as a power cut would."""
    signal_node(node, patroni, signal.SIGKILL)
    patroni.wait()


def signal_node(node: Node, patroni: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to everything of a node; to Patroni first, so that it can't react to what follows."""
    postmaster = node.postmaster()
    for pid in [*_tree(patroni.pid), *(_tree(postmaster) if postmaster else ())]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_postgres(node: Node) -> None:
    """Kill the first process of its PostgreSQL; the others end when they notice."""
    postmaster = node.postmaster()
    if postmaster is None:
        raise RuntimeError(f"{node.name} runs no PostgreSQL.")
    os.kill(postmaster, signal.SIGKILL)


def stop_sending(node: Node) -> None:
    """Hold the processes that send what is written to the standbys."""
    postmaster = node.postmaster()
    for pid in _tree(postmaster) if postmaster else ():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if b"walsender" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGSTOP)


def _settings(node: Node, installation: Installation) -> dict[str, Any]:
    passwords = installation.passwords
    listen = f"127.0.0.1:{node.port}"
    api = f"127.0.0.1:{node.api_port}"
    return {
        "scope": SCOPE,
        "name": node.name,
        "restapi": {"listen": api, "connect_address": api},
        "etcd3": {"host": f"127.0.0.1:{installation.etcd_port}"},
        "log": {"level": "INFO"},
        "watchdog": {"mode": "off"},  # a real node has one; containers and virtual machines often have none
        "bootstrap": {"dcs": _shared_settings(installation), "initdb": _initdb()},
        "postgresql": {
            "listen": listen,
            "connect_address": listen,
            "data_dir": str(node.cluster),
            "bin_dir": str(installation.binaries),
            "pgpass": str(node.folder / "pgpass"),
            "pg_hba": HBA,
            "parameters": {"unix_socket_directories": ""},
            "authentication": {
                "superuser": {"username": ADMIN, "password": passwords.administrator},
                "replication": {"username": REPLICATION, "password": passwords.replication},
                "rewind": {"username": REWIND, "password": passwords.rewind},
            },
        },
    }


def _shared_settings(installation: Installation) -> dict[str, Any]:
    """Return what lives in etcd: it is the same for all nodes, and changed with `patronictl edit-config`."""
    parameters = SETTINGS | POSTGRESQL | dict(installation.settings)
    parameters.pop("listen_addresses")
    return {
        "ttl": TTL_SECONDS,
        "loop_wait": LOOP_SECONDS,
        "retry_timeout": RETRY_SECONDS,
        "primary_start_timeout": 0,  # a leader that crashed hands over at once, without time to recover
        "synchronous_mode": installation.is_synchronous,
        "failsafe_mode": True,  # while etcd is away, a leader that reaches all nodes goes on
        "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": parameters},
    }


def _initdb() -> list[dict[str, str]]:
    return [
        {"encoding": "UTF8"},
        {"locale": "C"},
        {"locale-provider": "builtin"},
        {"builtin-locale": "C.UTF-8"},
        {"auth": "scram-sha-256"},
    ]


def _tree(pid: int) -> Iterator[int]:
    """Walk a process and all that it has started."""
    yield pid
    children: list[str] = []
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            children += task.read_text().split()
    for child in children:
        yield from _tree(int(child))
