"""A real Envoy in front of an upstream that tells what reached it."""

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from dana.platform.gateway import envoy
from dana.platform.gateway.model import Auth, Gateway, Issuer, Limit, Limits, Upstream
from dana.platform.gateway.routes import CLOSED_PATHS, POLICIES, ROUTES
from dana.platform.identity import MEMBER_ISSUER, VISITOR_ISSUER, Keys
from dana.platform.local.envoy import envoy_program
from dana.platform.local.programs import free_port, spawn, stop, wait_until_ready
from dana.platform.secrets import Secrets
from tests.platform.gateway.edge import Echo, Edge, Server, SocketEcho

GENEROUS = Limits(Limit(10_000, 10_000), Limit(10_000, 10_000), Limit(10_000, 10_000))
StartEdge = Callable[[Limits], Edge]


@pytest.fixture(scope="session")
def upstreams() -> Iterator[dict[Upstream, int]]:
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    http_server.daemon_threads = True
    socket_server = Server(("127.0.0.1", 0), SocketEcho)
    for server in (http_server, socket_server):
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    ports = dict.fromkeys(Upstream, int(http_server.server_address[1]))
    yield ports | {Upstream.REALTIME: int(socket_server.server_address[1])}
    for server in (http_server, socket_server):
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def start_edge(
    upstreams: dict[Upstream, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartEdge]:
    started = []

    def start(limits: Limits) -> Edge:
        folder = tmp_path_factory.mktemp("gateway")
        keys = Keys(Secrets.load(folder / "secrets"))
        issuers = (
            Issuer(MEMBER_ISSUER, Auth.MEMBER, keys.jwks(MEMBER_ISSUER)),
            Issuer(VISITOR_ISSUER, Auth.VISITOR, keys.jwks(VISITOR_ISSUER)),
        )
        gateway = replace(
            Gateway(free_port(), folder, issuers, ROUTES, CLOSED_PATHS), limits=limits, policies=POLICIES
        )
        for upstream, port in upstreams.items():
            envoy.write_endpoints(gateway, upstream, [("127.0.0.1", port)])
        program = envoy_program(gateway)
        log = folder / "gateway.log"
        with log.open("wb") as output:
            process = spawn(program, output)
        wait_until_ready(program, process, log)
        client = httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=15)
        started.append((program, process, client))
        return Edge(gateway, keys, client, log)

    yield start
    for program, process, client in started:
        client.close()
        stop(program, process)


@pytest.fixture(scope="module")
def edge(start_edge: StartEdge) -> Edge:
    return start_edge(GENEROUS)
