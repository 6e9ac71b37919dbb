"""The set-up: steps run when they are due, and its locks are complete."""

import json
import re
from pathlib import Path

import pytest

from dana.platform.local import prepare
from dana.platform.local.prepare import Progress, Step, StepFailedError, run_if_due

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "ROOT", tmp_path)
    monkeypatch.setattr(prepare, "STEPS", tmp_path / "steps")
    monkeypatch.setattr(prepare, "LOG", tmp_path / "log")


def test_a_step_runs_again_only_when_its_sources_change(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("one")
    runs: list[str] = []
    step = Step("Work", [source], lambda _: runs.append(source.read_text()))
    run_if_due(step)
    run_if_due(step)
    source.write_text("two")
    run_if_due(step)
    assert runs == ["one", "two"]


def test_a_failed_step_says_its_last_lines_and_is_due_again(tmp_path: Path) -> None:
    step = Step("Work", [], lambda progress: progress.run(["sh", "-c", "echo the reason; exit 1"], tmp_path))
    for _ in range(2):
        with pytest.raises(StepFailedError, match=r"Work failed(.|\n)*the reason"):
            run_if_due(step)


def test_an_optional_step_may_fail_once_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    runs: list[int] = []

    def fail(progress: Progress) -> None:
        runs.append(1)
        raise StepFailedError("no model here")

    for _ in range(2):
        run_if_due(Step("Extra", [], fail, is_optional=True))
    assert len(runs) == 1
    assert "skipped: no model here" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["all.txt", "build.txt"])
def test_python_locks_have_hashes_and_no_index(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert "--index-url" not in text
    assert "--extra-index-url" not in text
    packages = re.split(r"\n(?=[a-z0-9])", text)
    assert [package for package in packages if "==" in package and "--hash=sha256:" not in package] == []


@pytest.mark.parametrize("app", ["web", "widget"])
def test_web_locks_are_complete_and_name_no_registry(app: str) -> None:
    packages = json.loads((ROOT / app / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    # `npm ci` refuses a lock that leaves out packages of other platforms.
    optional = {name for package in packages.values() for name in package.get("optionalDependencies", {})}
    there = {name.rpartition("node_modules/")[2] for name in packages}
    assert optional - there == set()
