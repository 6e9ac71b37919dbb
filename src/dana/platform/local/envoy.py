"""Envoy from a wheel, with the configuration that the gateway's model emits."""

import http.client
import importlib.util
import os
import shutil
import socket
import ssl
from http import HTTPStatus
from pathlib import Path

from dana.platform.gateway import envoy
from dana.platform.gateway.model import PROBE_PATH, Gateway
from dana.platform.local.programs import CannotStartError, Program

PROBE_SECONDS = 1.0
LOG_FLUSH_MILLISECONDS = 1000  # whoever watches the log shall not wait ten seconds


def envoy_program(gateway: Gateway) -> Program:
    """Write the configuration and return the gateway's program; the endpoint files must be there."""
    configuration = envoy.write(gateway)
    envoy.admin_socket(gateway).unlink(missing_ok=True)
    options = ["--disable-hot-restart", "--log-level", "warning", "--concurrency", str(gateway.threads)]
    options += [
        "--file-flush-interval-msec",
        "1000",
    ]  # whoever watches the log shall not wait for ten seconds
    host = "127.0.0.1" if gateway.host in ("0.0.0.0", "::") else gateway.host  # noqa: S104 - compared, not bound
    return Program(
        name="gateway",
        command=(str(find_envoy()), "-c", configuration.name, *options),
        is_ready=lambda: _answer(gateway, host) == HTTPStatus.OK,
        is_alive=lambda: _answer(gateway, host) is not None,  # also while it drains
        folder=gateway.folder,
        stop_seconds=5.0,
    )


def find_envoy() -> Path:
    """Return the program: DANA_ENVOY, the wheel's, then the system's."""
    configured = os.environ.get("DANA_ENVOY")
    spec = importlib.util.find_spec("envoy")
    wheel = Path(spec.origin).parent / "_bin" / "envoy" if spec and spec.origin else None
    system = shutil.which("envoy", path="/usr/local/bin:/usr/bin")
    for path in (Path(configured) if configured else None, wheel, Path(system) if system else None):
        if path and path.exists():
            return path
    raise CannotStartError("Envoy is missing: run `make setup`, or set DANA_ENVOY.")


def drain(gateway: Gateway) -> None:
    """Let its probe fail and ask clients, with each answer, to come by another connection; nothing breaks."""
    _tell(gateway, "POST", "/healthcheck/fail")


def resume(gateway: Gateway) -> None:
    """Take `drain` back."""
    _tell(gateway, "POST", "/healthcheck/ok")


def under_way(gateway: Gateway) -> int:
    """Count requests and sockets that are open at this moment."""
    told = _tell(gateway, "GET", "/stats?filter=http.dana.downstream_rq_active")
    return int(told.rpartition(":")[2])


def known_endpoints(gateway: Gateway) -> set[tuple[str, int]]:
    """Return the ports of each upstream, by its name, to which requests are sent at this moment."""
    found = set()
    for line in _tell(gateway, "GET", "/clusters").splitlines():
        upstream, _, rest = line.partition("::")
        _, _, port = rest.partition("::")[0].rpartition(":")
        if port.isdigit():
            found.add((upstream, int(port)))
    return found


def _tell(gateway: Gateway, method: str, what: str) -> str:
    """Ask the running Envoy's administration, which only listens in its folder."""
    try:
        folder = os.open(gateway.folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        raise CannotStartError(f"No gateway runs in {gateway.folder}.") from None
    connection = http.client.HTTPConnection("localhost", timeout=PROBE_SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        # Through the descriptor, because a socket's own path may be too long for the kernel.
        connection.sock.connect(f"/proc/self/fd/{folder}/{envoy.admin_socket(gateway).name}")
        connection.request(method, what)
        return connection.getresponse().read().decode()
    except OSError:
        raise CannotStartError(f"No gateway runs in {gateway.folder}.") from None
    finally:
        connection.close()
        os.close(folder)


def _answer(gateway: Gateway, host: str) -> int | None:
    """Return what it says of itself; whether its certificate suits this name isn't the question."""
    connection = (
        http.client.HTTPSConnection(host, gateway.port, timeout=PROBE_SECONDS, context=_trusting())
        if gateway.tls
        else http.client.HTTPConnection(host, gateway.port, timeout=PROBE_SECONDS)
    )
    try:
        connection.request("GET", PROBE_PATH)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
