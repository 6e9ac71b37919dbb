"""The fleet: in which processes the services run on this machine, and where each of them is.

start ─► all at once, ready ─► endpoint files ─► gateway and other services follow
restart ─► another one, ready ─► endpoint files name it instead ─► the gateway follows ─► the old one drains
"""

import asyncio
import contextlib
import http.client
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from dana.platform.gateway import envoy
from dana.platform.gateway.model import Gateway, Upstream, called
from dana.platform.local.envoy import known_endpoints
from dana.platform.local.programs import CannotStartError, Program, free_port
from dana.platform.local.supervisor import Supervisor

HOST = "127.0.0.1"
TOGETHER = "services"
"""The name of the one process that runs all services."""
PROBE_SECONDS = 5.0  # a busy machine is not a hanging one
START_SECONDS = 90.0  # many processes that start at once on two cores
DRAIN_SECONDS = 35.0  # a process takes at most 20 for its sockets, then 8 for its requests
FOLLOW_SECONDS = 5.0  # the gateway takes a tenth of that to read its files
FOLLOW_POLL_SECONDS = 0.05
SETTLE_SECONDS = 0.2  # its worker threads learn a moment later than its administration tells
MOST_REPLICAS = 32
MOST_CONNECTIONS = 240  # of the local PostgreSQL's 300; the rest is for people and for restarts
LARGEST_POOL, SMALLEST_POOL = 8, 2

News = Callable[[str, str], None]
"""Told the process's name and how far its restart is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which processes there are to be."""

    is_split: bool = False
    replicas: Mapping[Upstream, int] = field(default_factory=dict)

    def processes(self) -> dict[str, tuple[Upstream, ...]]:
        """Return the services of each process, by its name."""
        if not self.is_split:
            return {TOGETHER: tuple(Upstream)}
        return {
            name if number == 1 else f"{name}-{number}": (name,)
            for name in Upstream
            for number in range(1, self.replicas.get(name, 1) + 1)
        }


@dataclass(slots=True)
class _Process:
    """One process of the fleet, from its start to its end."""

    program: Program
    services: tuple[Upstream, ...]
    http_port: int
    realtime_port: int
    is_ready: bool = False
    is_leaving: bool = False

    @property
    def ports(self) -> set[int]:
        """The ports by which it is called."""
        return {self.http_port, self.realtime_port}


class Fleet:
    """Starts, watches and replaces the services' processes, and tells everybody where they are."""

    def __init__(self, plan: Plan, gateway: Gateway, supervisor: Supervisor) -> None:
        self._gateway = gateway
        self._supervisor = supervisor
        processes = plan.processes()
        self._pool_size = _pool_size(len(processes))
        self._processes = [self._one_of(name, services) for name, services in processes.items()]

    def write_endpoints(self) -> None:
        """Say where each service is: at its ready processes, or, when there are none, where they will be.

        So a service whose only process restarts is waited for, instead of being unknown.
        """
        for service in Upstream:
            there = [one for one in self._processes if service in one.services and not one.is_leaving]
            ready = [one for one in there if one.is_ready]
            named = ready or there
            envoy.write_endpoints(
                self._gateway,
                service,
                [(HOST, one.http_port) for one in named],
                [(HOST, one.realtime_port) for one in named],
            )

    async def start(self) -> None:
        """Start all processes; raises CannotStartError."""
        await self._supervisor.start(*(process.program for process in self._processes))

    def changed(self, program: Program, is_ready: bool) -> None:
        """Follow what the supervisor tells of a program."""
        for process in self._processes:
            if process.program is program:
                process.is_ready = is_ready
                self.write_endpoints()

    def names(self) -> list[str]:
        """Return the names of all processes."""
        return [process.program.name for process in self._processes]

    async def restart(self, service: str | None, news: News) -> None:
        """Replace the processes of a service, or all, one after the other, so that no request fails."""
        wanted = [
            one for one in self._processes if service in (None, one.program.name, *_alone(one.services))
        ]
        if not wanted:
            raise CannotStartError(f"No process of its own runs {service!r}; there are {self._listed()}.")
        for process in wanted:
            began = time.monotonic()
            news(process.program.name, "is starting")
            await self._replace(process)
            news(process.program.name, f"is replaced after {time.monotonic() - began:.1f} s")

    async def _replace(self, old: _Process) -> None:
        new = self._one_of(old.program.name, old.services)
        self._processes.insert(self._processes.index(old), new)
        new.is_leaving = True  # until it has become ready, nobody is sent there

        async def switch() -> None:
            new.is_leaving, old.is_leaving = False, True
            self.write_endpoints()
            await self._followed(old.services)

        try:
            await self._supervisor.replace(old.program, new.program, switch)
        except BaseException:
            self._processes.remove(new)
            raise
        self._processes.remove(old)

    async def _followed(self, services: tuple[Upstream, ...]) -> None:
        """Return when the gateway sends nobody to a process that leaves; after some seconds in any case."""
        leaving = {
            (called(service, door), port)
            for one in self._processes
            if one.is_leaving
            for service, door in self._gateway.doors
            if service in services
            for port in one.ports
        }
        deadline = time.monotonic() + FOLLOW_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(CannotStartError):  # it restarts itself just now
                if not leaving & await asyncio.to_thread(known_endpoints, self._gateway):
                    break
            await asyncio.sleep(FOLLOW_POLL_SECONDS)
        await asyncio.sleep(SETTLE_SECONDS)

    def _one_of(self, name: str, services: tuple[Upstream, ...]) -> _Process:
        http_port, realtime_port = free_port(), free_port()
        environment = {
            "DANA_HTTP_PORT": str(http_port),
            "DANA_REALTIME_PORT": str(realtime_port),
            "DANA_POOL_SIZE": os.environ.get("DANA_POOL_SIZE", str(self._pool_size)),
        }
        program = services_program(name, services, http_port, environment)
        return _Process(program, services, http_port, realtime_port)

    def _listed(self) -> str:
        return ", ".join(self.names())


def services_program(
    name: str, services: tuple[Upstream, ...], http_port: int, environment: Mapping[str, str]
) -> Program:
    """Return the program that runs some services, as a child process of the same Python."""
    return Program(
        name=name,
        command=(
            sys.executable,
            "-m",
            "dana",
            "run",
            *(services if services != tuple(Upstream) else ["all"]),
        ),
        is_ready=lambda: _answers(http_port, "/readyz"),
        is_alive=lambda: _answers(http_port, "/healthz"),
        environment=dict(os.environ) | {"PYTHONUNBUFFERED": "1"} | dict(environment),
        start_seconds=START_SECONDS,
        stop_seconds=DRAIN_SECONDS,
    )


def plan_of(*, is_split: bool, replicas: list[str]) -> Plan:
    """Read `--split` and `--replicas realtime=2`; raises CannotStartError with one sentence."""
    if replicas and not is_split:
        raise CannotStartError("Replicas need processes of their own: add --split.")
    wanted: dict[Upstream, int] = {}
    for text in replicas:
        name, _, number = text.partition("=")
        if name not in tuple(Upstream):
            raise CannotStartError(f"There is no service {name!r}; there are {', '.join(Upstream)}.")
        if not number.isdigit() or not 1 <= int(number) <= MOST_REPLICAS:
            raise CannotStartError(
                f"Say how many processes of {name} there shall be, from 1 to {MOST_REPLICAS}: {name}=2."
            )
        wanted[Upstream(name)] = int(number)
    return Plan(is_split, wanted)


def _alone(services: tuple[Upstream, ...]) -> tuple[Upstream, ...]:
    """Return the name by which a process can be called, if it runs one service only."""
    return services if len(services) == 1 else ()


def _pool_size(processes: int) -> int:
    """Share the database's connections between the processes: each has a pool for each database."""
    databases = int(os.environ.get("DANA_SHARDS", "2")) + 1
    return max(SMALLEST_POOL, min(LARGEST_POOL, MOST_CONNECTIONS // (processes * databases)))


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
