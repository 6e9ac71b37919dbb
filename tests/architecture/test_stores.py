"""Stores speak SQL that the migrated schema understands, and take their organization from the transaction."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import asyncpg
import pytest

import dana.services
from dana.platform.database import address
from dana.platform.settings import Settings

STATEMENT_METHODS = {"fetch", "fetchrow", "fetchval", "execute", "executemany"}
ORGANIZATION_NAMES = {"org", "org_id", "organization", "organization_id"}


def stores() -> list[ModuleType]:
    """Import every store module of every service."""
    names = [
        module.name
        for module in pkgutil.walk_packages(dana.services.__path__, "dana.services.")
        if ".store" in module.name
    ]
    return [importlib.import_module(name) for name in names]


def functions(module: ModuleType) -> Iterator[Callable[..., Any]]:
    for function in vars(module).values():
        if inspect.isfunction(function) and function.__module__ == module.__name__:
            yield function


def statements(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Find the SQL of every statement; one that is put together from arguments only runs in its own tests."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        is_statement = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in STATEMENT_METHODS
            and node.args
        )
        if not is_statement:
            continue
        assert isinstance(node, ast.Call)
        code = compile(ast.Expression(node.args[0]), module.__name__, "eval")
        try:
            sql = eval(code, vars(module))  # noqa: S307 - our own source
        except NameError:
            continue
        yield f"{module.__name__}:{node.lineno}", str(sql)


def test_a_store_takes_its_organization_from_the_transaction() -> None:
    takes_one = [
        f"{module.__name__}.{function.__name__}"
        for module in stores()
        if ".auth." not in module.__name__ + "."  # the catalog belongs to no single organization
        and ".placement." not in module.__name__ + "."  # it administers many, on shards as in the catalog
        for function in functions(module)
        if not function.__name__.startswith("_")
        and ORGANIZATION_NAMES & set(inspect.signature(function).parameters)
    ]
    assert takes_one == []


def test_whoever_emits_takes_the_transaction_first() -> None:
    late = []
    for module in pkgutil.walk_packages(dana.services.__path__, "dana.services."):
        source = inspect.getsource(importlib.import_module(module.name))
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            parameters = [argument.arg for argument in node.args.args if argument.arg != "self"]
            opens_one = any(
                isinstance(inner, ast.AsyncWith) and "tx(" in ast.unparse(inner.items[0])
                for inner in ast.walk(node)
            )
            if ".emit(" in ast.unparse(node) and "tx" not in parameters[:1] and not opens_one:
                late.append(f"{module.name}:{node.lineno} {node.name}")
    assert late == []


@pytest.mark.parametrize(
    "module", stores(), ids=lambda module: module.__name__.removeprefix("dana.services.")
)
async def test_every_statement_can_be_prepared(module: ModuleType, settings: Settings) -> None:
    found = list(statements(module))
    databases = [
        await asyncpg.connect(address(settings.database_url, database=name))
        for name in ("dana_shard1", "dana_catalog")
    ]
    try:
        for place, sql in found:
            problems = [await _problem_of(database, sql) for database in databases]
            assert None in problems, f"{place}: {problems}"
    finally:
        for database in databases:
            await database.close()


async def _problem_of(database: asyncpg.Connection, sql: str) -> str | None:
    try:
        await database.prepare(sql)
    except asyncpg.PostgresError as error:
        return str(error)
    return None


def test_the_statements_are_really_found() -> None:
    assert sum(len(list(statements(module))) for module in stores()) > 50
