"""Size limits and names, counted: what is too long is two things in one."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_FUNCTION_LINES = 50
MOST_SOURCE_LINES = 400
MOST_TEST_LINES = 600
MOST_WEB_LINES = 250
EMPTY_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "core",
    "manager",
    "data",
    "info",
    "obj",
    "misc",
}
EMPTY_VERBS = re.compile(r"^_?(handle|process)(_|$)")
SERVICE_FILES = {
    "__init__", "service", "api", "consumers", "jobs", "actions", "store", "adapters", "models",
}  # fmt: skip
SERVICE_FOLDERS = {"migrations", "sample"}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_functions_are_short() -> None:
    too_long = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in python_files("src", "tests", "benchmarks", "loadtest", "deploy")
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > MOST_FUNCTION_LINES
    ]
    assert too_long == []


@pytest.mark.parametrize(
    ("folders", "most"),
    [(("src", "benchmarks", "loadtest", "deploy"), MOST_SOURCE_LINES), (("tests",), MOST_TEST_LINES)],
)
def test_files_are_short(folders: tuple[str, ...], most: int) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in python_files(*folders)}
    assert {str(path): lines for path, lines in lengths.items() if lines > most} == {}


@pytest.mark.parametrize("folder", ["web/src", "widget/src"])
def test_web_files_are_short(folder: str) -> None:
    sources = [p for suffix in ("*.ts", "*.tsx", "*.css") for p in (ROOT / folder).rglob(suffix)]
    written = [p for p in sources if not p.name.endswith((".gen.ts", ".d.ts")) and "generated" not in p.parts]
    lengths = {str(p): len(p.read_text().splitlines()) for p in written}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_WEB_LINES} == {}


def test_names_say_something() -> None:
    files = python_files("src", "benchmarks", "loadtest", "deploy")
    bad_modules = [str(p) for p in files if p.stem in EMPTY_NAMES or p.parent.name in EMPTY_NAMES]
    bad_functions = [
        f"{path}:{function.name}"
        for path in files
        for function in functions(path)
        if EMPTY_VERBS.match(function.name)
    ]
    assert (bad_modules, bad_functions) == ([], [])


def test_services_have_the_same_file_names() -> None:
    odd = [
        str(path)
        for service in (ROOT / "src/dana/services").iterdir()
        if service.is_dir() and service.name != "__pycache__"
        for path in service.iterdir()
        if path.name != "__pycache__"
        and path.stem not in SERVICE_FILES
        and not (path.is_dir() and path.name in SERVICE_FOLDERS)
    ]
    assert odd == []


def test_every_service_shows_its_card() -> None:
    for service in (ROOT / "src/dana/services").glob("*/__init__.py"):
        card = ast.get_docstring(ast.parse(service.read_text())) or ""
        assert len(card.splitlines()) >= 3, f"{service} must say what it is for, owns, publishes and consumes"


def test_no_registry_address_is_committed() -> None:
    address = re.compile(r"^--(extra-)?index-url|\"resolved\": ?\"", re.MULTILINE)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)  # noqa: S607
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    texts = [path for path in paths if path.is_file() and path != Path(__file__)]
    assert [str(path) for path in texts if address.search(path.read_text(errors="replace"))] == []
