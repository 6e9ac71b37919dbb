"""`dana backup` as a script uses it: JSON when piped, one sentence and code 1 when something is wrong."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dana.platform.database import address
from dana.platform.local.postgres import start_postgres
from dana.platform.settings import Settings

pytestmark = pytest.mark.xdist_group("backup")


@dataclass
class Operator:
    """Somebody with a shell, and a folder for backups."""

    settings: Settings
    home: Path

    def says(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")}
        env |= {
            "DANA_DATA": str(self.settings.data_dir),
            "DANA_DATABASE_URL": self.settings.database_url,
            "DANA_BACKUPS": str(self.home / "backups"),
        }
        programs = (self.settings.data_dir / "postgres" / "postgres" / "programs").glob("*/*/pginstall/bin")
        for folder in programs:  # root's have been copied to where PostgreSQL's account reaches them
            env["DANA_POSTGRES_BIN"] = str(folder)
        command = [sys.executable, "-m", "dana", "backup", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=False)

    def gets(self, *arguments: str) -> list[Any]:
        run = self.says(*arguments)
        assert run.returncode == 0, run.stderr
        return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture
def operator(settings: Settings) -> Iterator[Operator]:
    with tempfile.TemporaryDirectory(prefix="dana-test-operator-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL's account has to get in
        operator = Operator(settings, Path(folder))
        yield operator
        operator.says("wal", "--off")


async def test_from_the_first_backup_to_the_restored_folder(operator: Operator) -> None:
    assert operator.gets("list") == []
    (full,) = operator.gets("run")
    assert (full["kind"], full["problems"], full["servers"]) == ("full", [], {"catalog": "full"})
    (second,) = operator.gets("run", "--without-secrets")
    assert (second["kind"], second["needs"], second["has_secrets"]) == ("incremental", full["id"], False)
    listed = operator.gets("list")
    assert [(row["id"], row["health"]) for row in listed] == [(full["id"], "good"), (second["id"], "good")]
    assert listed[0]["restorable_from"] < listed[1]["restorable_from"] < listed[1]["restorable_to"]
    assert [row["is_sound"] for row in operator.gets("verify")] == [True, True]

    target = operator.home / "restored"
    (restored,) = operator.gets("restore", "--to", listed[1]["restorable_to"], "--data", str(target))
    assert restored["backup"] == second["id"]
    assert set(restored["servers"][0]["databases"]) == {"catalog", "shard1", "shard2"}
    assert not restored["has_secrets"]
    server = start_postgres(target)
    connection = await asyncpg.connect(address(server.dsn, database="dana_catalog"))
    assert await connection.fetchval("select count(*) from platform.shards") == 2
    await connection.close()
    server.stop()


def test_what_is_wrong_is_said_in_one_sentence_before_anything_is_done(operator: Operator) -> None:
    target = operator.home / "restored"
    for arguments, sentence in (
        (("verify",), "There is no backup in"),
        (("restore", "--to", "yesterday", "--data", str(target)), "'yesterday' is no time; write `latest`"),
        (("restore", "--to", "latest", "--data", str(target)), "There is no folder "),
        (("reconcile", "--choose", "acme=shard1"), "'acme' is no organization's id"),
        (
            ("point", "shard1", "--url", "postgresql://127.0.0.1:1/"),
            "There is no shard named shard1 on a server of its",
        ),
    ):
        run = operator.says(*arguments)
        assert run.returncode == 1, run.stdout
        assert sentence in run.stderr
        assert len(run.stderr.strip().splitlines()) == 1, run.stderr
    assert not target.exists()


async def test_reconciling_is_only_looked_at_while_dana_runs(operator: Operator) -> None:
    settings = operator.settings
    service = address(
        settings.database_url,
        database="dana_catalog",
        user="dana_auth",
        password=settings.secrets.password("dana_auth"),
    )
    connection = await asyncpg.connect(service, server_settings={"application_name": "dana"})
    try:
        run = operator.says("reconcile")
        assert (run.returncode, run.stderr.strip()) == (
            1,
            "Dana is running on these servers; stop it first, then reconcile.",
        )
        (plan,) = operator.gets("reconcile", "--plan")
        assert set(plan) == {"is_clean", "corrected", "undecided", "leftovers", "subscriptions", "moves"}
    finally:
        await connection.close()
