"""`dana up` with a certificate, as a person runs it: HTTPS, the redirect, a renewal, a bad certificate."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dana.platform.local.programs import free_port
from tests.gateway.certificates import DAY, make_certificate
from tests.gateway.stands import trusting

pytestmark = pytest.mark.xdist_group("up with tls")
START_SECONDS = 90  # the machine may be busy with other tests
LOOK_SECONDS = 30


@dataclass
class Up:
    """A `dana up` in a process of its own, with a certificate."""

    home: Path
    port: int
    redirect_port: int
    process: "subprocess.Popen[str] | None" = None

    def put(self, certificate: str, key: str) -> None:
        (self.home / "tls.crt").write_text(certificate)
        (self.home / "tls.key").write_text(key)

    def start(self) -> None:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")}
        environment |= {
            "DANA_TLS_CERT": str(self.home / "tls.crt"),
            "DANA_TLS_KEY": str(self.home / "tls.key"),
            "DANA_TLS_REDIRECT_PORT": str(self.redirect_port),
        }
        command = [sys.executable, "-m", "dana", "up", "--data", str(self.home / "data")]
        with (self.home / "out.txt").open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                env=environment,
            )

    def said(self) -> str:
        return (self.home / "out.txt").read_text()

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def shows(self) -> str:
        """Return the certificate that is in use."""
        return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=10)


@pytest.fixture
def up() -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="dana-test-tls-") as folder:
        Path(folder).chmod(0o755)
        one = Up(Path(folder), free_port(), free_port())
        yield one
        one.stop()


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_https_the_redirect_and_a_renewal(up: Up) -> None:
    up.put(*make_certificate("localhost"))
    up.start()
    until(lambda: "Dana is ready" in up.said() or up.has_ended(), START_SECONDS)
    assert f"https://localhost:{up.port}" in up.said()
    with httpx.Client(base_url=f"https://127.0.0.1:{up.port}", verify=trusting(), http2=True) as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
        assert answer.headers["strict-transport-security"]
    moved = httpx.get(f"http://127.0.0.1:{up.redirect_port}/inbox")
    assert (moved.status_code, moved.headers["location"]) == (301, f"https://127.0.0.1:{up.port}/inbox")
    before = up.shows()
    up.put(*make_certificate("localhost"))
    until(lambda: up.shows() != before, LOOK_SECONDS)
    until(lambda: "has a new certificate, valid until" in up.said(), LOOK_SECONDS)


def test_a_bad_certificate_keeps_it_from_starting_with_one_sentence(up: Up) -> None:
    up.put(*make_certificate("localhost", -2 * DAY, -DAY))
    up.start()
    until(up.has_ended, START_SECONDS)
    assert up.process is not None
    assert up.process.returncode == 1
    (only,) = up.said().strip().splitlines()
    assert only.startswith("The certificate in ")
    assert only.endswith("; renew it.")


def test_a_redirect_port_in_use_is_one_sentence(up: Up) -> None:
    up.put(*make_certificate("localhost"))
    with socket.create_server(("127.0.0.1", up.redirect_port)):
        up.start()
        until(up.has_ended, START_SECONDS)
    (only,) = up.said().strip().splitlines()
    assert only.startswith(f"Port {up.redirect_port} is in use by another program")
    assert "DANA_TLS_REDIRECT_PORT=" in only
