"""Logs: one JSON object a line, whose request it was, and never a secret."""

import json
import subprocess
import sys
from typing import Any

import pytest

SCRIPT = """
import logging
import structlog
from dana.platform.telemetry import configure_logging, request_context

configure_logging()
structlog.get_logger("x").info("outside")
request_context.set({"request_id": "r1", "trace_id": "t1", "organization": "o1"})
structlog.get_logger("x").info("inside", n=1)
secrets = ("password", "access_token", "api_key", "Authorization", "refresh_cookie")
structlog.get_logger("x").warning("secrets", **{name: "hunter2" for name in secrets})
logging.getLogger("some.library").error("it broke", exc_info=ValueError("deep inside"))
"""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """What a process logs, in a process of its own: logging is configured once and for all."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_a_line_says_which_request_it_belongs_to(lines: list[dict[str, Any]]) -> None:
    outside, inside = lines[0], lines[1]
    assert "request_id" not in outside
    assert (inside["request_id"], inside["trace_id"], inside["organization"]) == ("r1", "t1", "o1")
    assert (inside["event"], inside["n"], inside["level"]) == ("inside", 1, "info")


def test_a_secret_never_reaches_the_log(lines: list[dict[str, Any]]) -> None:
    assert lines[2]["event"] == "secrets"
    assert "hunter2" not in json.dumps(lines)


def test_the_libraries_lines_are_json_too(lines: list[dict[str, Any]]) -> None:
    assert (lines[3]["event"], lines[3]["logger"]) == ("it broke", "some.library")
    assert "deep inside" in lines[3]["exception"]
