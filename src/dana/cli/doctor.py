"""`dana doctor`: one line for each thing that Dana needs, with what to do when it isn't there."""

import asyncio
import importlib.util
import json
import os
import resource
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dana.cli.installation import installation
from dana.cli.terminal import console, is_terminal, print_json
from dana.platform import deadletters, migrations
from dana.platform.broker import Connection
from dana.platform.local import checks
from dana.platform.local.certificates import CertificateFiles
from dana.platform.local.envoy import find_envoy
from dana.platform.local.postgres import find_binaries
from dana.platform.local.programs import CannotStartError
from dana.platform.local.valkey import find_server

ROOT = Path(__file__).parents[3]
WANTED_DESCRIPTORS = 4096
BROKER_SECONDS = 3.0
SOON = timedelta(days=14)  # those who renew by themselves do it after two thirds of 90 days


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: fine, or what to do."""

    name: str
    is_fine: bool
    says: str


def doctor(data_dir: Path) -> None:
    """Check everything; ends with code 1 when something is missing."""
    findings = [_look(name, look) for name, look in _checks(data_dir)]
    for finding in findings:
        if is_terminal():
            mark = "[green]✓[/green]" if finding.is_fine else "[red]✗[/red]"
            console.print(f"  {mark} {finding.name:<20} {finding.says}", soft_wrap=True)
        else:
            print_json({"name": finding.name, "is_fine": finding.is_fine, "says": finding.says})
    sys.exit(0 if all(finding.is_fine for finding in findings) else 1)


def _checks(data_dir: Path) -> list[tuple[str, Callable[[], str]]]:
    return [
        ("Python", lambda: sys.version.split()[0]),
        ("PostgreSQL", lambda: str(find_binaries())),
        ("Valkey", lambda: str(find_server())),
        ("Envoy", lambda: str(find_envoy())),
        ("Certificate", _certificate),
        ("Console", lambda: _built("web")),
        ("Widget", lambda: _built("widget")),
        ("Embeddings", _embeddings),
        ("Open files", _descriptors),
        ("Data folder", lambda: _folder(data_dir)),
        ("Running", lambda: _running(data_dir)),
        ("Processes", lambda: _processes(data_dir)),
        ("RabbitMQ", lambda: _broker(data_dir)),
        ("Database", lambda: _database(data_dir)),
    ]


def _look(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except CannotStartError as problem:
        return Finding(name, False, str(problem))


def _certificate() -> str:
    files = CertificateFiles.from_environment()
    if files is None:
        return "none; without DANA_TLS_CERT and DANA_TLS_KEY, Dana speaks plain HTTP"
    ends = files.check()
    if ends - datetime.now(UTC) < SOON:
        raise CannotStartError(f"{files.certificate} ends on {ends:%Y-%m-%d}; renew it.")
    return f"{files.certificate}, valid until {ends:%Y-%m-%d}"


def _built(app: str) -> str:
    folder = ROOT / app / "dist"
    if not folder.is_dir():
        raise CannotStartError(f"{folder} is missing; run `make setup`.")
    return str(folder)


def _embeddings() -> str:
    missing = [name for name in ("numpy", "onnxruntime") if importlib.util.find_spec(name) is None]
    return f"without {', '.join(missing)}: search goes by words only" if missing else "onnxruntime is there"


def _descriptors() -> str:
    checks.allow_many_connections()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < WANTED_DESCRIPTORS:
        raise CannotStartError(f"only {hard} files may be open; each connection needs two. See `ulimit -n`.")
    return f"{soft} may be open"


def _folder(data_dir: Path) -> str:
    folder = data_dir.absolute()
    checks.usable_folder(folder)
    return f"{folder}, {shutil.disk_usage(folder).free // 2**30} GiB free"


def _running(data_dir: Path) -> str:
    state = _state(data_dir)
    return f"at {state['url']} (process {state['pid']})" if state else "not running on this data folder"


def _processes(data_dir: Path) -> str:
    """Look whether each process of the services runs, in one or in many."""
    names = _state(data_dir).get("processes", [])
    dead = [name for name in names if not _is_running(data_dir / "logs" / f"{name}.pid")]
    if dead:
        logs = ", ".join(str(data_dir / "logs" / f"{name}.log") for name in dead)
        raise CannotStartError(f"{', '.join(dead)} doesn't run at this moment; see {logs}.")
    return ", ".join(names) or "none run on this data folder"


def _broker(data_dir: Path) -> str:
    url = os.environ.get("DANA_RABBITMQ_URL") or _state(data_dir).get("rabbitmq_url", "")
    if not url:
        return "none is set (DANA_RABBITMQ_URL): PostgreSQL and Valkey carry events"
    where = urlsplit(url).netloc.rpartition("@")[2]
    if not asyncio.run(_answers(Connection(url, "doctor"))):
        raise CannotStartError(
            f"{where} can't be reached: events wait in PostgreSQL, and consumers look there until it is back."
        )
    return f"at {where}"


async def _answers(connection: Connection) -> bool:
    try:
        return await connection.start(BROKER_SECONDS)
    finally:
        await connection.stop()


def _state(data_dir: Path) -> dict[str, Any]:
    """Return what the running `dana up` says of itself; empty when none runs."""
    try:
        state: dict[str, Any] = json.loads((data_dir / "instance.json").read_text())
        os.kill(state["pid"], 0)
    except (OSError, ValueError, KeyError):
        return {}
    return state


def _is_running(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _database(data_dir: Path) -> str:
    with installation(data_dir) as settings:
        pending = asyncio.run(migrations.plan(settings))
        if pending:
            return f"{len(pending)} migrations are pending; `dana up` runs them"
        dead = len(asyncio.run(deadletters.dead(settings)))
    if dead:
        raise CannotStartError(f"{dead} deliveries failed for good; see `dana jobs dead`.")
    return "up to date, nothing dead"
