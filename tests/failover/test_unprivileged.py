"""Patroni runs as an account that can't read our files, with copies of just what it needs."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dana.platform.local.account import Account
from dana.platform.local.programs import CannotStartError
from deploy.failover import unprivileged
from deploy.failover.unprivileged import python_with_patroni


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dana-failover-") as folder:
        yield Path(folder)


def test_without_another_account_it_uses_what_is_there(home: Path) -> None:
    _, packages = python_with_patroni(home, None)
    assert (packages / "patroni").is_dir()
    assert list(home.iterdir()) == []


def test_what_the_account_can_t_reach_is_copied_and_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Account("stranger", 1, 1)
    monkeypatch.setattr(Account, "can_reach", lambda self, path: not path.name.endswith("-packages"))
    python, packages = python_with_patroni(home, nobody)
    assert packages == home / "packages"
    imports = "import patroni.dcs.etcd3, psycopg, sys; print(patroni.__file__, psycopg.pq.__impl__)"
    run = subprocess.run(
        [python, "-S", "-c", imports],
        env={"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [str(packages / "patroni" / "__init__.py"), "binary"]
    assert not (packages / "pytest").exists()


def test_an_account_that_reaches_no_python_is_told_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "can_reach", lambda self, path: "python" not in path.name)
    with pytest.raises(CannotStartError, match="install Python where every user may read it"):
        unprivileged._interpreter(Account("stranger", 1, 1))
