"""Runs etcd and the nodes on this machine.

python -m deploy.failover.cluster --data DIR [--nodes 3] [--asynchronous]

It prints the address to put into DANA_DATABASE_URL, and stops everything on Ctrl-C.
"""

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec

from dana.cli.terminal import console, errors, fail, is_terminal, print_json
from dana.platform.local.account import Account, unprivileged_account
from dana.platform.local.postgres import ADMIN, AWAY, find_binaries, home_of, reachable
from dana.platform.local.programs import (
    CannotStartError,
    Program,
    free_port,
    kill,
    spawn,
    stop,
    wait_until_ready,
)
from deploy.failover.etcd import etcd_program
from deploy.failover.patroni import (
    Installation,
    Member,
    Node,
    Passwords,
    kill_node,
    kill_postgres,
    members,
    node_program,
    signal_node,
    stop_sending,
)
from deploy.failover.unprivileged import python_with_patroni

NODES = 3
READY_SECONDS = 120.0  # three initial copies on a busy machine, and a node that waits for its old lease
POLL_SECONDS = 0.1
UNSENT_SECONDS = 1.0  # Patroni gives up a standby that answers nothing after five


class _Plan(msgspec.Struct, frozen=True):
    """What must stay the same when the cluster is started again, as it stands in cluster.json."""

    etcd_ports: tuple[int, int]
    node_ports: list[tuple[int, int]]
    passwords: Passwords


class Cluster:
    """A cluster of nodes; it ends with `stop()`, `kill()`, or the thread that started it."""

    def __init__(
        self, data_dir: Path, *, nodes: int = NODES, is_synchronous: bool, settings: Mapping[str, str]
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._account = unprivileged_account()
        self._logs = data_dir / "logs"
        self._logs.mkdir(exist_ok=True)
        home = home_of(data_dir, self._account, AWAY)
        plan = _plan(data_dir / "cluster.json", nodes)
        python, packages = python_with_patroni(home, self._account)
        self._installation = Installation(
            home=home,
            binaries=reachable(find_binaries(), home, self._account),
            python=python,
            packages=packages,
            etcd_port=plan.etcd_ports[0],
            passwords=plan.passwords,
            is_synchronous=is_synchronous,
            settings=settings,
            account=self._account,
        )
        self._etcd = etcd_program(home, *plan.etcd_ports, self._account)
        self.nodes = [
            Node(f"node{n}", port, api_port, _folder(home / f"node{n}", self._account))
            for n, (port, api_port) in enumerate(plan.node_ports, 1)
        ]
        self._running: dict[str, tuple[Program, subprocess.Popen[bytes]]] = {}

    @property
    def dsn(self) -> str:
        """The administrator's address of all nodes: for DANA_DATABASE_URL."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        password = quote(self._installation.passwords.administrator)
        return f"postgresql://{ADMIN}:{password}@{hosts}/postgres?target_session_attrs=read-write"

    @property
    def look(self) -> str:
        """The command that shows all members."""
        program = Path(sys.executable).with_name("patronictl")
        return f"{program} -c {self.nodes[0].folder / 'patroni.json'} list"

    def start(self) -> None:
        """Start everything and wait until it is whole; the first node makes the files, the others copy."""
        self._start(self._etcd)
        for node in self.nodes:
            self.start_node(node)
            if node is self.nodes[0]:
                self.wait_for_leader()
        self.wait_until_whole()

    def start_node(self, node: Node) -> None:
        """Start a node, or start it again after it was killed; it joins by itself."""
        self._start(node_program(node, self._installation))

    def members(self) -> list[Member]:
        """Return what the nodes know of each other; empty when none of them answers."""
        for node in self.nodes:
            if node.name in self._running and (seen := members(node.api_port)):
                return seen
        return []

    def leader(self) -> Node:
        """Return the node that takes writes; raises RuntimeError when there is none at the moment."""
        names = [member.name for member in self.members() if member.is_leader]
        found = next((node for node in self.nodes if node.name in names), None)
        if found is None:
            raise RuntimeError("No node is the leader at the moment.")
        return found

    def wait_for_leader(self) -> None:
        """Return when one node takes writes."""
        self._wait(lambda seen: any(member.is_leader for member in seen), "has no leader")

    def wait_for_another_leader(self, than: Node) -> None:
        """Return when a node takes writes that isn't this one."""
        self._wait(
            lambda seen: any(member.is_leader and member.name != than.name for member in seen),
            f"has no leader but {than.name}",
        )

    def wait_until_whole(self) -> None:
        """Return when one node leads and the others have everything, one of them synchronously if wanted."""
        self._wait(self._is_whole, "is not whole")

    def kill_postgres(self) -> Node:
        """Kill the leader's PostgreSQL, and only that, with SIGKILL; returns whose it was."""
        node = self.leader()
        kill_postgres(node)
        return node

    def kill_node(self) -> Node:
        """Kill the leader's Patroni, its PostgreSQL and their children with SIGKILL; returns whose it was."""
        node = self.leader()
        kill_node(node, self._running.pop(node.name)[1])
        return node

    def kill_unsent(self) -> Node:
        """Kill the leader's node when the standbys have not been sent what it wrote in the last second."""
        stop_sending(self.leader())
        time.sleep(UNSENT_SECONDS)
        return self.kill_node()

    def freeze_node(self) -> Node:
        """Hold all of the leader's node, like a machine that hangs: its connections stay, and say nothing."""
        node = self.leader()
        signal_node(node, self._running[node.name][1], signal.SIGSTOP)
        return node

    def heal(self) -> None:
        """Start what was killed, let go on what was frozen; returns when the cluster is whole again."""
        for node in self.nodes:
            if node.name in self._running:
                signal_node(node, self._running[node.name][1], signal.SIGCONT)
            else:
                self.start_node(node)
        self.wait_until_whole()

    def stop(self) -> None:
        """Stop in order, the leader last, so that it has nobody to hand over to."""
        leaders = {member.name for member in self.members() if member.role == "leader"}
        for name in sorted(self._running, key=lambda name: (name == "etcd", name in leaders)):
            stop(*self._running.pop(name))

    def kill(self) -> None:
        """Kill everything at once."""
        for node in self.nodes:
            if node.name in self._running:
                kill_node(node, self._running.pop(node.name)[1])
        for _, process in self._running.values():
            kill(process)
            process.wait()
        self._running.clear()

    def _start(self, program: Program) -> None:
        log = self._logs / f"{program.name}.log"
        with log.open("ab") as output:
            process = spawn(program, output)
        self._running[program.name] = (program, process)
        wait_until_ready(program, process, log)

    def _is_whole(self, seen: list[Member]) -> bool:
        followers = [member for member in seen if member.is_in_step]
        synchronous = sum(member.role == "sync_standby" for member in followers)
        return (
            len(seen) == len(self.nodes)
            and len(followers) == len(self.nodes) - 1
            and sum(member.is_leader for member in seen) == 1
            and (synchronous > 0 or not self._installation.is_synchronous)
        )

    def _wait(self, is_so: Callable[[list[Member]], bool], problem: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_so(seen := self.members()):
            if time.monotonic() > deadline:
                raise CannotStartError(f"The cluster {problem} after {READY_SECONDS:.0f} s: {seen}")
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def running_cluster(
    data_dir: Path, *, is_synchronous: bool, settings: Mapping[str, str]
) -> Iterator[Cluster]:
    """Run a cluster for the length of the block; at its end it is killed, as nobody needs its files."""
    cluster = Cluster(data_dir, is_synchronous=is_synchronous, settings=settings)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


def main() -> None:
    """Run a cluster until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="where the files are kept")
    parser.add_argument("--nodes", type=int, default=NODES, help="how many nodes, 1 to 9 (default 3)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--synchronous", action="store_true", help="a commit waits for a standby (default)")
    mode.add_argument("--asynchronous", action="store_true", help="a commit doesn't wait, and may be lost")
    wanted = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    cluster = None
    try:
        cluster = Cluster(
            wanted.data.absolute(), nodes=wanted.nodes, is_synchronous=not wanted.asynchronous, settings={}
        )
        cluster.start()
        _show(cluster)
        signal.pause()
    except CannotStartError as problem:
        fail(str(problem))
    except KeyboardInterrupt:
        errors.print("Stopping …")
    finally:
        if cluster:
            cluster.stop()


def _show(cluster: Cluster) -> None:
    if not is_terminal():
        print_json({"database_url": cluster.dsn, "members": cluster.members(), "look": cluster.look})
        return
    console.print("\nSet this for Dana, in another terminal:\n")
    console.print(f"    export DANA_DATABASE_URL='{cluster.dsn}'\n", soft_wrap=True, markup=False)
    console.print("Who is who:\n")
    console.print(f"    {cluster.look}\n", soft_wrap=True, markup=False)
    console.print("Ctrl-C stops everything; the files stay.")


def _plan(path: Path, nodes: int) -> _Plan:
    """Read the plan of this folder, or make one."""
    if path.exists():
        plan = msgspec.json.decode(path.read_bytes(), type=_Plan)
        if len(plan.node_ports) != nodes:
            raise CannotStartError(f"{path.parent} holds a cluster of {len(plan.node_ports)} nodes.")
        return plan
    ports = [free_port() for _ in range(2 + 2 * nodes)]
    while len(set(ports)) < len(ports):
        ports = [free_port() for _ in ports]
    passwords = Passwords(*(secrets.token_urlsafe(24) for _ in range(3)))
    plan = _Plan((ports[0], ports[1]), list(zip(ports[2::2], ports[3::2], strict=True)), passwords)
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.encode(plan))
    return plan


def _folder(path: Path, account: Account | None) -> Path:
    """Make a folder that belongs to the account."""
    path.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(path, account.uid, account.gid)
    return path


if __name__ == "__main__":
    main()
