"""RabbitMQ for tests and benchmarks: real nodes on the loopback, from Debian's packages, one or a cluster.

Erlang is started without its shell scripts, which only work where Debian installs them, and its port mapper
(epmd) by us, because Erlang would leave it running for ever.
"""

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dana.platform.local.programs import (
    CannotStartError,
    Program,
    free_port,
    kill,
    spawn,
    stop,
    wait_until_ready,
)

USER = "dana"
PROBE_SECONDS = 0.5
START_SECONDS = 90.0  # five on a quiet machine; three nodes that find each other on a busy one take longer
STOP_SECONDS = 20.0
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME = b"\x01"
EVALUATE_SECONDS = 20.0

# Small enough for three nodes beside everything else on a laptop.
SETTINGS = {
    "loopback_users": "none",
    "vm_memory_high_watermark.absolute": "400MB",
    "disk_free_limit.absolute": "100MB",
    "raft.wal_max_size_bytes": "16777216",
    "cluster_partition_handling": "pause_minority",  # as every real cluster should have it
    "log.console": "true",
    "log.console.level": "info",
    "log.file": "false",
}

# Busy waiting pays on a machine of one's own; here it would take the processor from everybody else.
EMULATOR = ("+W", "w", "+B", "i", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")
KERNEL = {"prevent_overlapping_partitions": "false", "inet_dist_use_interface": "{127,0,0,1}"}


@dataclass(slots=True)
class Node:
    """One node: it can be killed or stopped, and started again with what it had."""

    name: str
    port: int
    program: Program
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it talks to clients."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it without waiting."""
        with self.log.open("ab") as output:
            self.process = spawn(self.program, output)

    def wait(self) -> None:
        """Return when it talks to clients."""
        if self.process is not None:
            wait_until_ready(self.program, self.process, self.log)

    def stop(self) -> None:
        """Stop it in order."""
        if self.process is not None:
            stop(self.program, self.process)
            self.process = None

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self.process is not None:
            kill(self.process)
            self.process.wait()
            self.process = None


@dataclass(slots=True)
class RabbitMQ:
    """A running broker; `url` names all its nodes."""

    url: str
    nodes: list[Node]
    erlang: Path
    environment: Mapping[str, str]
    mapper: Program
    mapper_process: subprocess.Popen[bytes]
    cookie: str = field(repr=False)

    def start(self) -> None:
        """Start all nodes that don't run; the first one forms the cluster that the others join."""
        wait_until_ready(self.mapper, self.mapper_process)
        first, *others = [node for node in self.nodes if node.process is None]
        first.start()
        for node in others:
            node.begin()
        for node in others:
            node.wait()

    def stop(self) -> None:
        """Stop all nodes, then the port mapper."""
        for node in reversed(self.nodes):
            node.stop()
        stop(self.mapper, self.mapper_process)

    def evaluate(self, node: Node, expression: str) -> str:
        """Evaluate Erlang in a node, such as `node().`; returns what is printed of its value."""
        command = [str(self.erlang / "bin" / "erl_call"), "-sname", node.name, "-c", self.cookie, "-e"]
        run = subprocess.run(
            command,
            env=dict(self.environment),
            input=f"{expression}\n",
            capture_output=True,
            text=True,
            timeout=EVALUATE_SECONDS,
            check=False,
        )
        found = re.fullmatch(r"\{ok, (.*)\}\s*", run.stdout, re.DOTALL)
        if found is None:
            raise RuntimeError(f"{node.name} can't evaluate {expression}: {run.stdout}{run.stderr}")
        return found[1]

    def settle(self) -> None:
        """Write down at once which queues there are, which a node does only a second after they were made."""
        for node in self.nodes:
            self.evaluate(node, "[dets:sync(Table) || Table <- dets:all()].")

    def leader_of(self, queue: str) -> Node:
        """Return the node that leads a quorum queue or a stream at this moment."""
        asked = next(node for node in self.nodes if node.process is not None)
        leader = self.evaluate(
            asked,
            f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)),'
            " [{leader, L}] = rabbit_amqqueue:info(Q, [leader]), L.",
        )
        return next(node for node in self.nodes if node.name == leader)


def start_rabbitmq(data_dir: Path, nodes: int = 1, settings: Mapping[str, str] | None = None) -> RabbitMQ:
    """Start a broker on free ports; it stops with `stop()` or with the calling thread."""
    root = find_root()
    erlang = next((root / "usr/lib/erlang").glob("erts-*"))
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    cookie, password, mapper_port = secrets.token_hex(16), secrets.token_hex(16), free_port()
    environment = _environment(root, erlang, data_dir, mapper_port)
    mapper = Program(
        name="epmd",
        command=(str(erlang / "bin" / "epmd"),),
        is_ready=lambda: _listens(mapper_port),
        environment=environment,
        folder=data_dir,
    )
    names = [f"r{number}@localhost" for number in range(1, nodes + 1)]
    login = {"default_user": USER, "default_pass": password}
    options = SETTINGS | login | _discovery(names) | dict(settings or {})
    made = [
        _node(
            root,
            data_dir / name.partition("@")[0],
            name,
            settings=options,
            environment=environment,
            cookie=cookie,
        )
        for name in names
    ]
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in made)
    url = f"amqp://{USER}:{password}@{hosts}/"
    broker = RabbitMQ(url, made, erlang, environment, mapper, spawn(mapper), cookie)
    try:
        broker.start()
    except BaseException:
        broker.stop()
        raise
    return broker


def find_root() -> Path:
    """Return the folder in which Debian's packages are unpacked, or the system's root if it has them."""
    unpacked = Path(sys.prefix) / "debian" / "rabbitmq-server"
    for root in (unpacked, Path("/")):
        if (root / "usr/lib/rabbitmq/lib").exists() and (root / "usr/lib/erlang").exists():
            return root
    raise CannotStartError("RabbitMQ is missing: run `make test` once, or apt-get install rabbitmq-server.")


def _discovery(names: list[str]) -> dict[str, str]:
    nodes = {f"cluster_formation.classic_config.nodes.{n}": name for n, name in enumerate(names, 1)}
    return {"cluster_formation.peer_discovery_backend": "classic_config"} | nodes if names[1:] else {}


def _environment(root: Path, erlang: Path, home: Path, mapper_port: int) -> dict[str, str]:
    """Return what every program of Erlang is told."""
    return {
        "PATH": f"{erlang / 'bin'}:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "ROOTDIR": str(root / "usr/lib/erlang"),
        "BINDIR": str(erlang / "bin"),
        "EMU": "beam",
        "PROGNAME": "erl",
        "ERL_EPMD_PORT": str(mapper_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP": os.devnull,
    }


def _node(
    root: Path,
    home: Path,
    name: str,
    *,
    settings: Mapping[str, str],
    environment: Mapping[str, str],
    cookie: str,
) -> Node:
    """Write a node's configuration, and describe how it is run."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = free_port()
    lines = [
        f"{key} = {value}" for key, value in {"listeners.tcp.1": f"127.0.0.1:{port}", **settings}.items()
    ]
    _write_private(home / "rabbitmq.conf", "\n".join(lines) + "\n")
    _write_private(home / ".erlang.cookie", cookie)
    (home / "plugins").write_text("[].\n")
    rabbit = next((root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    program = Program(
        name=f"rabbitmq-{name}",
        command=(str(Path(environment["BINDIR"]) / "erlexec"), *_arguments()),
        is_ready=lambda: _answers(port),
        environment={
            **environment,
            "HOME": str(home),
            "ERL_LIBS": str(rabbit / "plugins"),
            "ERL_MAX_PORTS": "65536",
            "ERL_MAX_ETS_TABLES": "50000",
            "RABBITMQ_HOME": str(rabbit),
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,  # Debian's would change the names of files
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_PLUGINS_DIR": str(rabbit / "plugins"),
            "SYS_PREFIX": "",
        },
        folder=home,
        start_seconds=START_SECONDS,
        stop_seconds=STOP_SECONDS,
    )
    return Node(name, port, program, home / "rabbitmq.log")


def _arguments() -> tuple[str, ...]:
    kernel = (part for name, value in KERNEL.items() for part in ("-kernel", name, value))
    quiet = ("-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false")
    boot = ("-boot", "start_sasl", "-s", "rabbit", "boot")
    return ("-noinput", "-start_epmd", "false", *boot, *EMULATOR, *quiet, *kernel)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PROBE_SECONDS):
        return True
    return False


def _answers(port: int) -> bool:
    """Tell whether a node begins the conversation that every client begins with."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), PROBE_SECONDS) as connection,
    ):
        connection.settimeout(PROBE_SECONDS)
        connection.sendall(PROTOCOL_HEADER)
        return connection.recv(1) == METHOD_FRAME
    return False
