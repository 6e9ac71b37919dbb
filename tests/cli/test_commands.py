"""The command line, as a script uses it: JSON when piped, one sentence and code 1 when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from dana.platform.settings import Settings
from tests.conftest import SignUp

QUESTIONS = {
    "version": "1",
    "data": [
        {
            "title": title,
            "paragraphs": [
                {
                    "context": context,
                    "qas": [
                        {
                            "id": title,
                            "question": question,
                            "is_impossible": False,
                            "answers": [{"text": answer, "answer_start": context.index(answer)}],
                        }
                    ],
                }
            ],
        }
        for title, context, question, answer in (
            ("Shop", "Parcels leave our warehouse in Ghent every day.", "Where is the warehouse?", "Ghent"),
            ("Moon", "The Moon orbits Earth once in 27 days.", "How long does the Moon need?", "27 days"),
        )
    ],
}


def dana(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: text for name, text in os.environ.items() if not name.startswith("DANA_")}
    env |= {
        "DANA_DATA": str(settings.data_dir),
        "DANA_DATABASE_URL": settings.database_url,
        "DANA_REDIS_URL": settings.redis_url,
    } | environment
    return subprocess.run(
        [sys.executable, "-m", "dana", *arguments], capture_output=True, text=True, env=env, check=False
    )


def lines(run: subprocess.CompletedProcess[str]) -> list[Any]:
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_help_names_every_command(settings: Settings) -> None:
    said = dana(settings, "--help").stdout
    for command in ("up", "run", "migrate", "doctor", "openapi", "jobs", "eval", "admins"):
        assert f" {command} " in said


def test_nothing_is_planned_when_everything_has_run(settings: Settings) -> None:
    assert lines(dana(settings, "migrate", "--plan")) == []
    assert lines(dana(settings, "migrate")) == []


async def test_roles_on_the_platform_are_granted_listed_and_revoked(
    settings: Settings, sign_up: SignUp
) -> None:
    ana = await sign_up("Ana")
    email = (await ana.http.get("/api/v1/auth/me")).json()["user"]["email"]
    assert lines(dana(settings, "admins", "grant", email)) == [{"email": email, "role": "admin"}]
    assert {"email": email, "role": "admin"} in lines(dana(settings, "admins", "list"))
    assert lines(dana(settings, "admins", "revoke", email)) == [{"email": email, "role": None}]
    assert all(admin["email"] != email for admin in lines(dana(settings, "admins", "list")))
    unknown = dana(settings, "admins", "grant", "nobody@example.org")
    assert unknown.returncode == 1
    assert "Nobody has signed up as nobody@example.org." in unknown.stderr


def test_the_description_of_the_api_is_printed(settings: Settings) -> None:
    document = json.loads(dana(settings, "openapi").stdout)
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/conversations" in document["paths"]


def test_the_doctor_looks_at_everything(settings: Settings) -> None:
    found = {
        finding["name"]: finding for finding in map(json.loads, dana(settings, "doctor").stdout.splitlines())
    }
    for name in ("PostgreSQL", "Valkey", "Envoy", "Data folder", "Processes", "RabbitMQ", "Database"):
        assert found[name]["is_fine"], found[name]


def test_the_doctor_says_that_rabbitmq_is_away_and_keeps_its_password(settings: Settings) -> None:
    said = dana(settings, "doctor", DANA_RABBITMQ_URL="amqp://dana:hidden@127.0.0.1:1/").stdout
    (finding,) = [line for line in map(json.loads, said.splitlines()) if line["name"] == "RabbitMQ"]
    assert not finding["is_fine"]
    assert finding["says"].startswith("127.0.0.1:1 can't be reached: events wait in PostgreSQL")
    assert "hidden" not in said


def test_evaluations_print_one_json_line(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "questions.json"
    file.write_text(json.dumps(QUESTIONS))
    (retrieval,) = lines(dana(settings, "eval", "retrieval", "--data", str(file), "--json"))
    assert retrieval["questions"] == 2
    assert retrieval["recall_at_1"] == 1.0
    (answers,) = lines(dana(settings, "eval", "answers", "--data", str(file), "--json"))
    assert answers["sentence_accuracy"] == 1.0
    assert set(answers) >= {"questions", "answered", "off_topic_auroc", "abstain_f1", "p50_ms", "p95_ms"}


def test_a_file_that_is_no_squad_is_refused_in_one_sentence(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "nonsense.json"
    file.write_text("{}")
    run = dana(settings, "eval", "retrieval", "--data", str(file))
    assert run.returncode == 1
    assert "is no file in SQuAD's format" in run.stderr
    assert "Traceback" not in run.stderr


def alone(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dana", *arguments]
    clean = {"PATH": os.environ["PATH"]} | environment
    return subprocess.run(command, capture_output=True, text=True, env=clean, check=False)


def test_running_without_settings_says_what_is_missing() -> None:
    run = alone("run", "all")
    assert run.returncode == 1
    assert run.stderr.strip() == "Set DANA_DATABASE_URL first; `dana up` does that for you."


def test_a_transport_that_there_is_not_is_one_sentence(tmp_path: Path) -> None:
    run = alone(
        "run",
        "realtime",
        DANA_DATA=str(tmp_path),
        DANA_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none",
        DANA_REDIS_URL="redis://127.0.0.1:9",
        DANA_REALTIME_TRANSPORT="pigeons",
    )
    assert run.returncode == 1
    assert run.stderr.strip() == "DANA_REALTIME_TRANSPORT is 'pigeons'; say picows or websockets."


def test_running_something_unknown_says_what_there_is() -> None:
    there = "auth, conversations, knowledge, ai, placement, realtime, web"
    run = alone("run", "auth", "mail")
    assert run.returncode == 1
    assert run.stderr.strip() == f"There is no service 'mail'; there are {there}, and all."
    assert alone("run").stderr.strip() == f"Say what to run: {there}, or all."
    assert alone("run", "--help").returncode == 0
