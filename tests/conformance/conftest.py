"""An installation of its own for each binding, so that whoever is killed here is nobody's neighbour."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dana.platform.broker import binding as binding_module
from dana.platform.bus import Binding, pace
from dana.platform.local.postgres import start_postgres
from dana.platform.local.programs import spawn, wait_until_ready
from dana.platform.local.rabbitmq import RabbitMQ, start_rabbitmq
from dana.platform.migrations import migrate
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.platform.valkey import Valkey
from tests.conformance import bindings, days
from tests.conformance.staff import Staff


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares an installation on one worker."""
    for item in items:
        if not isinstance(item, pytest.Function) or Path(__file__).parent not in item.path.parents:
            continue
        if "binding_name" in item.fixturenames:
            name = item.callspec.params["binding_name"]
            item.add_marker(pytest.mark.xdist_group(f"conformance {name}"))


@pytest.fixture(scope="session", params=bindings.NAMES)
def binding_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def broker(binding_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ | None]:
    """The binding's broker, if it has one."""
    if binding_name != "rabbitmq":
        yield None
        return
    running = start_rabbitmq(tmp_path_factory.mktemp("rabbitmq"))
    yield running
    running.stop()


class Server:
    """The installation's PostgreSQL, which can crash and come back at the same address."""

    def __init__(self, home: Path) -> None:
        self._log = home / "postgres.log"
        self._running = start_postgres(home)
        self.dsn = self._running.dsn

    def kill(self) -> None:
        """Kill it as a crash would."""
        self._running.kill()

    def start(self) -> None:
        """Start it again with what it has."""
        program = self._running.program
        with self._log.open("ab") as output:
            self._running = replace(self._running, process=spawn(program, output))
        wait_until_ready(program, self._running.process, self._log)

    def stop(self) -> None:
        """Stop it in order."""
        self._running.stop()


@pytest.fixture(scope="session")
def server(binding_name: str) -> Iterator[Server]:
    """A PostgreSQL for this binding alone."""
    # Not pytest's folder: whichever run of pytest begins next closes that to PostgreSQL's account.
    with tempfile.TemporaryDirectory(prefix=f"dana-conformance-{binding_name}-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        running = Server(home / "postgres")
        yield running
        running.stop()


@pytest.fixture(scope="session")
async def settings(servers: Settings, server: Server, broker: RabbitMQ | None) -> Settings:
    """An installation whose events go through this binding."""
    own = replace(servers, database_url=server.dsn, rabbitmq_url=broker.url if broker else "")
    own = replace(own, pool_size=5)  # some tests have two dozen workers, the server 300 connections
    await migrate(own)
    await days.furnish(own)
    return own


@pytest.fixture
async def valkey(settings: Settings) -> AsyncIterator[Valkey]:
    valkey = Valkey(settings.redis_url)
    await valkey.start()
    yield valkey
    await valkey.stop()


@pytest.fixture
async def binding(settings: Settings, valkey: Valkey) -> AsyncIterator[Binding]:
    """This process's binding, at work."""
    binding = bindings.make_binding(settings, valkey)
    await binding.start()
    yield binding
    await binding.stop()


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(pace, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(binding_module, "POLL_SECONDS", 0.3)


@pytest.fixture
def staff(settings: Settings) -> Iterator[Staff]:
    """Workers in processes of their own; they end with the test."""
    staff = Staff(settings)
    yield staff
    staff.dismiss()


@pytest.fixture(scope="session")
async def undisturbed(settings: Settings) -> str:
    """What a day comes to when nothing happens to anybody."""
    return await days.quiet_day(settings)


@pytest.fixture
async def day(
    settings: Settings, shards_of: Callable[[str], Shards], undisturbed: str
) -> AsyncIterator[days.Day]:
    """A day that is about to begin, with organizations of its own."""
    await days.subscribe(settings)
    yield await days.new_day(settings, shards_of("auth"), undisturbed)
    await days.unsubscribe(settings)
