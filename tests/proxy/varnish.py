"""Debian's Varnish with the configuration that operators are given, on a free port."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dana.platform.local.programs import Program, free_port, spawn, stop, wait_until_ready

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy" / "cdn" / "varnish.vcl"
TOKEN = "only-for-the-test"


@contextmanager
def varnish(folder: Path, gateway_port: int) -> Iterator[str]:
    """Run one in front of a gateway; yields its address."""
    port = free_port()
    text = CONFIGURATION.read_text()
    for name, value in (
        ("GATEWAY_HOST", "127.0.0.1"),
        ("GATEWAY_PORT", str(gateway_port)),
        ("PURGE_TOKEN", TOKEN),
    ):
        text = text.replace(f'"{name}"', f'"{value}"')
    configuration = folder / "varnish.vcl"
    configuration.write_text(text)
    program = _program(folder, configuration, port)
    log = folder / "varnish.log"
    with log.open("ab") as output:
        process: subprocess.Popen[bytes] = spawn(program, output)
    try:
        wait_until_ready(program, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(program, process)


def _program(folder: Path, configuration: Path, port: int) -> Program:
    unpacked = Path(sys.prefix) / "debian" / "varnish"
    root = unpacked if (unpacked / "usr/sbin/varnishd").exists() else Path("/")
    libraries = next((root / "usr/lib").glob("*/varnish"))
    command = [str(root / "usr/sbin/varnishd"), "-F", "-j", "none", "-n", str(folder / "varnish")]
    command += ["-f", str(configuration), "-a", f"127.0.0.1:{port}", "-s", "malloc,16m"]
    command += ["-p", f"vmod_path={libraries / 'vmods'}"]
    return Program(
        name="varnish",
        command=tuple(command),
        is_ready=lambda: _answers(port),
        environment={**os.environ, "LD_LIBRARY_PATH": f"{libraries.parent}:{libraries}"},
        folder=folder,
    )


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5):
            return True
    except OSError:
        return False
