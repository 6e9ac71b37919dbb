"""The alarms of the backups: raised when they should be, and about metrics that exist."""

import re
import shutil
from pathlib import Path

from dana.platform.backup import watching
from tests.deploy.test_alerts import ROOT, promtool

RULES = ROOT / "deploy" / "alerts" / "backups.yml"


def test_each_alarm_is_raised_when_it_should_be(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(Path(__file__).with_name("backups_test.yml"), tmp_path)
    assert "SUCCESS" in promtool("test", "rules", "backups_test.yml", folder=tmp_path)


def test_every_metric_of_the_rules_is_one_of_ours() -> None:
    ours = {sample.name for gauge in (watching.NEWEST, watching.RECEIVED) for sample in gauge.collect()}
    assert set(re.findall(r"\bdana_backup_\w+", RULES.read_text())) == ours
