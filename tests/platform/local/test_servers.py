"""The embedded PostgreSQL and Valkey: they start, refuse strangers, and never outlive who started them."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from dana.platform.local.postgres import start_postgres
from dana.platform.local.programs import CannotStartError, Program, spawn, stop, wait_until_ready
from dana.platform.local.valkey import start_valkey

KILLED_PARENT = """
import sys, os, signal
from pathlib import Path
from dana.platform.local.postgres import start_postgres
from dana.platform.local.valkey import start_valkey
folder = Path(sys.argv[1])
print(start_postgres(folder).process.pid, start_valkey(folder).process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("listening to nobody", flush=True)
time.sleep(60)
"""


async def test_postgres_keeps_what_was_committed_over_a_crash(tmp_path: Path) -> None:
    server = start_postgres(tmp_path)
    connection = await asyncpg.connect(server.dsn)
    await connection.execute("create table notes (text text); insert into notes values ('kept')")
    server.kill()

    again = start_postgres(tmp_path)
    connection = await asyncpg.connect(again.dsn)
    assert await connection.fetchval("select text from notes") == "kept"
    assert await connection.fetchval("select datlocale from pg_database limit 1") == "C.UTF-8"
    assert await connection.fetchval("select count(*) from pg_available_extensions where name = 'vector'")
    await connection.close()
    again.stop()


async def test_postgres_asks_for_the_password(tmp_path: Path) -> None:
    server = start_postgres(tmp_path)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.dsn.replace("dana:", "dana:not"))
    server.stop()
    assert (tmp_path / "postgres.password").stat().st_mode & 0o777 == 0o600


def test_a_cluster_of_another_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    server = start_postgres(tmp_path)
    server.stop()
    version = (tmp_path / "postgres").resolve() / "cluster" / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(CannotStartError, match="was made by PostgreSQL 15, but this is 18"):
        start_postgres(tmp_path)


def test_an_interrupted_initdb_is_begun_again(tmp_path: Path) -> None:
    start_postgres(tmp_path).stop()
    home = (tmp_path / "postgres").resolve()
    (home / "cluster").rename(home / "partial")
    start_postgres(tmp_path).stop()


def test_valkey_asks_for_the_password_and_keeps_its_log(tmp_path: Path) -> None:
    server = start_valkey(tmp_path)
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET a\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")
    server.stop()
    assert list((tmp_path / "valkey").rglob("*.aof"))


def test_killing_the_starter_ends_the_servers(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", KILLED_PARENT, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    for pid in map(int, run.stdout.split()):
        _wait_for_the_end(pid)
    start_postgres(tmp_path).stop()


def test_a_program_that_ignores_its_signal_is_killed() -> None:
    program = Program("deaf", (sys.executable, "-c", DEAF), is_ready=lambda: True, stop_seconds=0.2)
    process = spawn(program, subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    stop(program, process)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


def test_a_program_that_ends_early_is_one_clear_sentence(tmp_path: Path) -> None:
    program = Program("brief", (sys.executable, "-c", "raise SystemExit(3)"), is_ready=lambda: False)
    with pytest.raises(CannotStartError, match="brief ended with code 3; see"):
        wait_until_ready(program, spawn(program), tmp_path / "brief.log")


def test_a_missing_program_is_one_clear_sentence() -> None:
    with pytest.raises(CannotStartError, match="is missing; run `make setup`"):
        spawn(Program("nothing", ("/nowhere/at/all",), is_ready=lambda: True))


def _wait_for_the_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} still runs")
