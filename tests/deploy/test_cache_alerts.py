"""The alarms of caches and limits: well formed, raised when they should be, and about metrics that exist."""

import re
import shutil
from pathlib import Path

from prometheus_client import REGISTRY

import dana.app
import dana.services.conversations.service  # noqa: F401 - importing them registers every metric
from tests.deploy.test_alerts import ROOT, promtool

RULES = ROOT / "deploy" / "alerts" / "caches.yml"


def test_the_rules_are_well_formed() -> None:
    assert "4 rules found" in promtool("check", "rules", RULES)


def test_each_alarm_is_raised_when_it_should_be(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(Path(__file__).with_name("caches_test.yml"), tmp_path)
    assert "SUCCESS" in promtool("test", "rules", "caches_test.yml", folder=tmp_path)


def test_every_metric_of_the_rules_is_one_of_ours() -> None:
    ours = {name for metric in REGISTRY.collect() for name in (metric.name, f"{metric.name}_total")}
    asked = set(re.findall(r"\bdana_\w+", RULES.read_text()))
    assert len(asked) > 4
    assert asked <= ours
