"""A Python with Patroni for the account that runs PostgreSQL: it may not be able to reach ours."""

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from dana.platform.local.account import Account
from dana.platform.local.programs import CannotStartError

EXTRAS = ("etcd3", "psycopg3")


def python_with_patroni(home: Path, account: Account | None) -> tuple[Path, Path]:
    """Return an interpreter and a folder of packages that the account can reach; copies what it can't."""
    try:
        packages = Path(str(distribution("patroni").locate_file("")))
    except PackageNotFoundError:
        raise CannotStartError("Patroni is missing: run `make setup`.") from None
    if account is None:
        return Path(sys.executable), packages
    if not account.can_reach(packages):
        packages = _copied(packages, home / "packages")
    return _interpreter(account), packages


def _interpreter(account: Account) -> Path:
    """Return our Python, or the system's of the same version: the packages were built for that one."""
    ours, system = Path(sys.executable), Path(f"/usr/bin/python3.{sys.version_info.minor}")
    for program in (ours, system):
        if program.exists() and all(account.can_reach(p) for p in (program.parent, program.resolve())):
            return program
    raise CannotStartError(
        f"PostgreSQL's account {account.name} can reach neither {ours.resolve()} nor {system}: "
        "install Python where every user may read it."
    )


def _copied(packages: Path, copy: Path) -> Path:
    """Copy Patroni and all that it needs."""
    for name in set(_closure("patroni", EXTRAS)):
        for file in distribution(name).files or ():
            source = Path(str(file.locate()))
            if source.is_relative_to(packages) and source.exists():
                target = copy / source.relative_to(packages)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    return copy


def _closure(name: str, extras: tuple[str, ...]) -> Iterator[str]:
    yield name
    for requirement in map(Requirement, distribution(name).requires or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield from _closure(requirement.name, tuple(requirement.extras))
