"""The alarms: well formed, raised when they should be, and about metrics that exist."""

import re
import shutil
import subprocess
from pathlib import Path

from prometheus_client import REGISTRY

import dana.app
import dana.services.placement.service  # noqa: F401 - importing both registers every metric
from dana.platform.local.programs import find_program

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "alerts" / "data-plane.yml"


def promtool(*arguments: str | Path, folder: Path = ROOT) -> str:
    program = find_program("promtool")
    assert program is not None, "run `make test` once: it unpacks promtool"
    run = subprocess.run(
        [program, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_rules_are_well_formed() -> None:
    assert "8 rules found" in promtool("check", "rules", RULES)


def test_each_alarm_is_raised_when_it_should_be(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml", folder=tmp_path)


def test_every_metric_of_the_rules_is_one_of_ours() -> None:
    ours = {
        name
        for metric in REGISTRY.collect()
        for name in (metric.name, f"{metric.name}_total", f"{metric.name}_count")
    }
    asked = set(re.findall(r"\bdana_\w+", re.sub(r"#.*", "", "\n".join(_expressions()))))
    assert asked
    assert asked <= ours


def _expressions() -> list[str]:
    text = RULES.read_text()
    return re.findall(r"expr: (?:>\n)?((?:.+\n?)+?)(?=\s+(?:for|labels):)", text)
