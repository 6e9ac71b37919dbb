"""What the gateway costs: a request straight to a server, by Envoy as Dana runs it, by a plain nginx.

Envoy has the real configuration: it checks the token, counts limits, bounds bodies and logs. nginx passes
requests on and does nothing else: the limit of what a proxy can reach here. Behind both stands the same
server, an nginx that answers from memory.

On two or more cores, the proxy has one for itself; the load and the server behind share another. Latency is
that of one request at a time, the rate that of many connections; rounds of all cases alternate.

    python -m benchmarks.gateway [--seconds 2] [--rounds 5] [--connections 32]
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast
from uuid import uuid4

import uvloop

from dana.contracts.ids import OrgId, UserId
from dana.contracts.views import Role
from dana.platform.gateway import envoy
from dana.platform.gateway.model import Auth, Gateway, Issuer, Limit, Limits, Upstream
from dana.platform.gateway.routes import CLOSED_PATHS, POLICIES, ROUTES, SECRET_PATHS
from dana.platform.identity import MEMBER_ISSUER, VISITOR_ISSUER, Keys, Member
from dana.platform.local.envoy import envoy_program
from dana.platform.local.programs import Program, find_program, free_port, spawn, stop, wait_until_ready
from dana.platform.secrets import Secrets

PATH = "/api/v1/inboxes"
BODY = '{"items":[' + ",".join(f'{{"id":"{number:032x}"}}' for number in range(10)) + '],"next_cursor":null}'
END = BODY[-32:].encode()
NOBODY_IS_LIMITED = 10_000_000  # the buckets are counted all the same
TOKEN_SECONDS = 3600
STUCK_SECONDS = 10.0
PROXY_CORE, LOAD_CORE = 0, 1


@dataclass
class Case:
    """One way to the server, and what was measured on it."""

    name: str
    port: int
    request: bytes
    latencies_us: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    costs_us: list[float] = field(default_factory=list)
    """Processor time of the proxy for one request; it is the same on a busy machine."""
    process: "subprocess.Popen[bytes] | None" = None

    def result(self) -> dict[str, float | str]:
        """Return the medians of all rounds."""
        ordered = sorted(self.latencies_us)
        return {
            "case": self.name,
            "p50_us": round(statistics.median(ordered)),
            "p99_us": round(ordered[int(len(ordered) * 0.99)]),
            "requests_per_second": round(statistics.median(self.rates)),
            "cpu_us": round(statistics.median(self.costs_us)),
        }


class Client(asyncio.Protocol):
    """Sends one request after the other on one connection, each when the answer before is whole."""

    def __init__(self, request: bytes, ends: float) -> None:
        self.request = request
        self.ends = ends
        self.done = asyncio.get_running_loop().create_future()
        self.times_ns: list[int] = []
        self._answer = b""
        self._sent_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, received: bytes) -> None:
        """Take the time when an answer is whole, and go on."""
        self._answer += received
        if not self._answer.endswith(END):
            return
        self.times_ns.append(time.perf_counter_ns() - self._sent_ns)
        if time.perf_counter() < self.ends:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """An answer without the expected end, or none, is no measurement."""
        if not self.done.done():
            said = self._answer[:300].decode(errors="replace")
            self.done.set_exception(error or ConnectionResetError(f"closed after {said!r}"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def _send(self) -> None:
        self._answer = b""
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(self.request)


async def drive(case: Case, connections: int, seconds: float) -> list[int]:
    """Load one case, and return how long each request took."""
    loop = asyncio.get_running_loop()
    ends = time.perf_counter() + seconds
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: Client(case.request, ends), "127.0.0.1", case.port)
        clients.append(client)
    try:
        async with asyncio.timeout(seconds + STUCK_SECONDS):
            await asyncio.gather(*(client.done for client in clients))
    except TimeoutError:
        said = next(client._answer for client in clients if not client.done.done())
        raise SystemExit(f"{case.name} answered otherwise than the server: {said[:300]!r}") from None
    finally:
        for client in clients:
            client.close()
    return [taken for client in clients for taken in client.times_ns]


async def measure(cases: list[Case], rounds: int, seconds: float, connections: int) -> None:
    """Alternate between the cases, so that what disturbs the machine disturbs all of them."""
    for case in cases:
        await drive(case, connections, min(seconds, 0.5))  # pools fill, the token is remembered
    for number in range(rounds):
        for case in cases if number % 2 == 0 else reversed(cases):
            case.latencies_us += [taken / 1000 for taken in await drive(case, 1, seconds)]
            began, spent = time.perf_counter(), _spent_us(case.process)
            taken = await drive(case, connections, seconds)
            case.rates.append(len(taken) / (time.perf_counter() - began))
            case.costs_us.append((_spent_us(case.process) - spent) / len(taken))


@contextmanager
def running(program: Program, core: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program on one core."""
    log = program.folder / f"{program.name}.log"
    with log.open("wb") as output:
        process = spawn(program, output)
    try:
        wait_until_ready(program, process, log)
        _pin(process, core)
        yield process
    finally:
        stop(program, process)


def nginx_program(folder: Path, name: str, port: int, location: str) -> Program:
    """Return an nginx with one worker that does one thing; `location` says which."""
    command = find_program("nginx")
    if command is None:
        raise SystemExit("nginx is missing: `make test` unpacks it, or install it.")
    home = folder / name
    home.mkdir()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"  {kind}_temp_path {home / kind};" for kind in kinds)
    (home / "nginx.conf").write_text(
        f"""
worker_processes 1;
daemon off;
pid {home / "pid"};
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
{temporary}
  access_log off;
  keepalive_requests 100000000;
{location.replace("PORT", str(port))}
}}
"""
    )
    return Program(
        name=name,
        command=(command, "-e", "stderr", "-p", str(home), "-c", str(home / "nginx.conf")),
        is_ready=lambda: _listens(port),
        folder=home,
    )


def server_location() -> str:
    """Return the server behind: the same answer to everything."""
    return (
        "  server {\n    listen 127.0.0.1:PORT backlog=1024;\n    default_type application/json;\n"
        f"    location / {{ return 200 '{BODY}'; }}\n  }}"
    )


def proxy_location(behind: int) -> str:
    """Return the plain proxy: kept-alive connections, and nothing else."""
    return (
        f"  upstream behind {{ server 127.0.0.1:{behind}; keepalive 64; }}\n"
        "  server {\n    listen 127.0.0.1:PORT backlog=1024;\n    location / {\n"
        "      proxy_pass http://behind;\n      proxy_http_version 1.1;\n"
        '      proxy_set_header connection "";\n'
        "    }\n  }"
    )


def real_gateway(folder: Path, behind: int) -> tuple[Gateway, str]:
    """Return Dana's own gateway in front of one server, and a member's token."""
    home = folder / "envoy"
    home.mkdir(mode=0o700)
    keys = Keys(Secrets.load(folder / "secrets"))
    issuers = (
        Issuer(MEMBER_ISSUER, Auth.MEMBER, keys.jwks(MEMBER_ISSUER)),
        Issuer(VISITOR_ISSUER, Auth.VISITOR, keys.jwks(VISITOR_ISSUER)),
    )
    limit = Limit(NOBODY_IS_LIMITED, NOBODY_IS_LIMITED)
    gateway = Gateway(
        free_port(),
        home,
        issuers,
        ROUTES,
        CLOSED_PATHS,
        SECRET_PATHS,
        limits=Limits(limit, limit, limit),
        policies=POLICIES,
    )
    for upstream in Upstream:
        envoy.write_endpoints(gateway, upstream, [("127.0.0.1", behind)])
    member = Member(OrgId(uuid4()), UserId(uuid4()), Role.AGENT, "Ana", uuid4())
    return gateway, keys.sign_member(member, TOKEN_SECONDS)


def run(rounds: int, seconds: float, connections: int) -> list[dict[str, float | str]]:
    """Start everything, measure, and return a result for each case."""
    with tempfile.TemporaryDirectory(prefix="dana-bench-gateway-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        behind, plain = free_port(), free_port()
        gateway, token = real_gateway(folder, behind)
        head = f"GET {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n".encode()
        ports = {"direct": behind, "envoy": gateway.port, "nginx": plain}
        cases = [Case(name, port, head) for name, port in ports.items()]
        with (
            running(nginx_program(folder, "server", behind, server_location()), LOAD_CORE) as server,
            running(replace(envoy_program(gateway), name="envoy"), PROXY_CORE) as proxy,
            running(nginx_program(folder, "proxy", plain, proxy_location(behind)), PROXY_CORE) as peer,
        ):
            for case, process in zip(cases, (server, proxy, peer), strict=True):
                case.process = process
            _pin(None, LOAD_CORE)
            uvloop.run(measure(cases, rounds, seconds, connections))
        return [case.result() for case in cases]


def _pin(process: "subprocess.Popen[bytes] | None", core: int) -> None:
    """Keep a process with its children, or this one, on one core, where there are several."""
    if (os.cpu_count() or 1) <= LOAD_CORE:
        return
    for pid in _family(process) if process else [0]:
        threads = Path(f"/proc/{pid}/task").iterdir() if pid else [Path("0")]
        for thread in threads:
            os.sched_setaffinity(int(thread.name), {core})


def _family(process: "subprocess.Popen[bytes]") -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [process.pid, *map(int, children)]


def _spent_us(process: "subprocess.Popen[bytes] | None") -> float:
    """Return the processor time of a process and its children so far."""
    if process is None:
        return 0.0
    ticks = 0
    for pid in _family(process):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1_000_000 / os.sysconf("SC_CLK_TCK")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """Print one line for each case, then all of them as one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    asked = parser.parse_args()
    results = run(asked.rounds, asked.seconds, asked.connections)
    for result in results:
        print(json.dumps(result))
    print(json.dumps({"rounds": asked.rounds, "connections": asked.connections, "cases": results}))


if __name__ == "__main__":
    main()
