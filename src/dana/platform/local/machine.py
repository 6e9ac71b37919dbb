"""Dana on one machine: which programs run, in which order, and how they find each other.

postgres ─► valkey ─► backup ─► gateway ─► migrations ─► services; stopped the other way round, so that the
services can say goodbye to open sockets while the gateway still stands, and backups get the last of the log.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dana.platform.gateway.model import Auth, Gateway, Issuer, Limit, Limits
from dana.platform.gateway.routes import CLOSED_PATHS, POLICIES, ROUTES, SECRET_PATHS
from dana.platform.identity import MEMBER_ISSUER, VISITOR_ISSUER, Keys
from dana.platform.local import checks
from dana.platform.local.certificates import CertificateFiles, tls_from_environment
from dana.platform.local.envoy import envoy_program
from dana.platform.local.fleet import Fleet, Plan
from dana.platform.local.postgres import postgres_program
from dana.platform.local.programs import CannotStartError, Program, free_port
from dana.platform.local.receiver import is_wanted, receiver_program
from dana.platform.local.requests import Tell, take_requests
from dana.platform.local.supervisor import Say, Supervisor
from dana.platform.local.valkey import valkey_program
from dana.platform.migrations import migrate
from dana.platform.secrets import Secrets
from dana.platform.settings import Settings

BACKUP_LOOK_SECONDS = 5.0  # a first backup may be taken at any time

Begin = Callable[[str], Callable[[], None]]
"""Told what begins; returns what to call when it is done."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this Dana lives."""

    data_dir: Path
    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for people."""
        configured = os.environ.get("DANA_PUBLIC_URL")
        shown = "localhost" if self.host in ("127.0.0.1", "0.0.0.0", "::") else self.host  # noqa: S104
        scheme = "https" if CertificateFiles.from_environment() else "http"
        return configured or f"{scheme}://{shown}:{self.port}"


class Machine:
    """Everything that runs for one data folder. The lock is held from `prepare` to `stop`."""

    def __init__(self, place: Place, say: Say, plan: Plan) -> None:
        self._place = place
        self._plan = plan
        self._lock: checks.InstanceLock | None = None
        self._supervisor = Supervisor(place.data_dir / "logs", say, self._changed)
        self._fleet: Fleet | None = None
        self._restarts: set[asyncio.Task[None]] = set()
        self._one_restart = asyncio.Lock()
        self._say = say
        self._has_own_database = "DANA_DATABASE_URL" not in os.environ
        self._first_backup: asyncio.Task[None] | None = None
        self._certificate: asyncio.Task[None] | None = None

    @classmethod
    def prepare(cls, place: Place, say: Say, plan: Plan | None = None) -> "Machine":
        """Check that it can start; raises CannotStartError with one sentence."""
        checks.usable_folder(place.data_dir)
        lock = checks.InstanceLock(place.data_dir)
        lock.take(place.url)
        checks.free_to_listen(place.host, place.port)
        if files := CertificateFiles.from_environment():
            files.check()
        if (tls := tls_from_environment()) and tls.redirect_port:
            checks.free_to_listen(place.host, tls.redirect_port, "DANA_TLS_REDIRECT_PORT=")
        checks.allow_many_connections()
        machine = cls(place, say, plan or Plan())
        machine._lock = lock
        return machine

    async def start(self, begin: Begin) -> None:
        """Start all parts, each when the one before is ready."""
        for name, step in self._steps():
            end = begin(name)
            await step()
            end()
        if self._has_own_database and not is_wanted(self._place.data_dir):
            self._first_backup = asyncio.create_task(self._await_first_backup(), name="await first backup")

    def take_restarts(self) -> None:
        """Begin the restarts that were asked for meanwhile; they run one after the other."""
        for service, tell in take_requests(self._place.data_dir):
            task = asyncio.create_task(self._restart(service, tell), name="restart")
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)

    async def stop(self) -> None:
        """Stop all parts in order and give the lock back."""
        for task in tuple(self._restarts):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._first_backup:
            self._first_backup.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._first_backup
        if self._certificate:
            self._certificate.cancel()
        await self._supervisor.stop()
        if self._lock:
            self._lock.release()

    def kill(self) -> None:
        """Kill all parts."""
        self._supervisor.kill()

    def _steps(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        return [
            ("PostgreSQL", self._start_postgres),
            ("Valkey", self._start_valkey),
            *([("Backups", self._start_backups)] if self._has_begun_backups() else []),
            ("Gateway", self._start_gateway),
            ("Database schema", self._migrate),
            ("Services", self._start_services),
        ]

    async def _start_postgres(self) -> None:
        if "DANA_DATABASE_URL" not in os.environ:
            program, dsn = postgres_program(self._place.data_dir, free_port())
            await self._supervisor.start(program)
            os.environ["DANA_DATABASE_URL"] = dsn

    async def _start_valkey(self) -> None:
        if "DANA_REDIS_URL" not in os.environ:
            program, url = valkey_program(self._place.data_dir, free_port())
            await self._supervisor.start(program)
            os.environ["DANA_REDIS_URL"] = url

    def _has_begun_backups(self) -> bool:
        return self._has_own_database and is_wanted(self._place.data_dir)

    async def _start_backups(self) -> None:
        """Receive the log; without that, Dana works all the same."""
        try:
            await self._supervisor.start(receiver_program(self._place.data_dir))
        except CannotStartError as problem:
            self._say("backup", f"doesn't receive the log: {problem}")

    async def _await_first_backup(self) -> None:
        while not is_wanted(self._place.data_dir):  # noqa: ASYNC110 - a folder can't tell us
            await asyncio.sleep(BACKUP_LOOK_SECONDS)
        await self._start_backups()

    async def _start_gateway(self) -> None:
        place = self._place
        folder = place.data_dir / "gateway"
        folder.mkdir(mode=0o700, exist_ok=True)
        os.environ.update(DANA_DATA=str(place.data_dir), DANA_PUBLIC_URL=place.url)
        keys = Keys(Secrets.load(Path(os.environ.get("DANA_SECRETS", str(place.data_dir / "secrets")))))
        gateway = gateway_of(place, folder, keys)
        self._fleet = Fleet(self._plan, gateway, self._supervisor)
        self._fleet.write_endpoints()
        if files := CertificateFiles.from_environment():
            files.give(gateway)
            following = files.follow(gateway, self._say)
            self._certificate = asyncio.create_task(following, name="follow the certificate")
        await self._supervisor.start(envoy_program(gateway))

    async def _migrate(self) -> None:
        try:
            settings = Settings.from_environment()
        except ValueError as wrong:
            raise CannotStartError(str(wrong)) from None
        try:
            await migrate(settings)
        except OSError as error:
            raise CannotStartError(
                f"A shard's server can't be reached: {error}. If it was restored, say where it is now: "
                "dana backup point SHARD."
            ) from error

    async def _start_services(self) -> None:
        if self._fleet is None:
            raise RuntimeError("The services come after the gateway.")
        await self._fleet.start()
        if self._lock:
            self._lock.write(
                {
                    "pid": os.getpid(),
                    "url": self._place.url,
                    "database_url": os.environ["DANA_DATABASE_URL"],
                    "rabbitmq_url": os.environ.get("DANA_RABBITMQ_URL", ""),
                    "processes": self._fleet.names(),
                    "takes_restarts": True,
                }
            )

    def _changed(self, program: Program, is_ready: bool) -> None:
        if self._fleet:
            self._fleet.changed(program, is_ready)

    async def _restart(self, service: str | None, tell: Tell) -> None:
        def news(name: str, said: str) -> None:
            self._say(name, said)
            tell({"process": name, "says": said})

        try:
            async with self._one_restart:
                if self._fleet:
                    await self._fleet.restart(service, news)
        except CannotStartError as problem:
            tell({"failed": str(problem)})
        else:
            tell({"is_done": True})


def gateway_of(place: Place, folder: Path, keys: Keys) -> Gateway:
    """Describe this machine's gateway."""
    issuers = (
        Issuer(MEMBER_ISSUER, Auth.MEMBER, keys.jwks(MEMBER_ISSUER)),
        Issuer(VISITOR_ISSUER, Auth.VISITOR, keys.jwks(VISITOR_ISSUER)),
    )
    return Gateway(
        place.port,
        folder,
        issuers,
        ROUTES,
        CLOSED_PATHS,
        SECRET_PATHS,
        host=place.host,
        limits=limits_from_environment(),
        trusted_proxies=trusted_proxies_from_environment(),
        tls=tls_from_environment(),
        policies=POLICIES,
    )


def trusted_proxies_from_environment() -> int:
    """Read DANA_TRUSTED_PROXIES."""
    text = os.environ.get("DANA_TRUSTED_PROXIES", "0")
    if not text.isdigit():
        raise CannotStartError(f"DANA_TRUSTED_PROXIES says how many there are, so not {text!r}.")
    return int(text)


def limits_from_environment() -> Limits:
    """Read DANA_LIMIT_ADDRESS, _USER and _ORGANIZATION (requests a second); a burst is twice as much."""
    limits = Limits()
    for name in ("address", "user", "organization"):
        text = os.environ.get(f"DANA_LIMIT_{name.upper()}")
        if text is None:
            continue
        if not text.isdigit() or int(text) < 1:
            raise CannotStartError(f"DANA_LIMIT_{name.upper()} must be a whole number above 0, not {text!r}.")
        limits = replace(limits, **{name: Limit(int(text), 2 * int(text))})
    return limits
