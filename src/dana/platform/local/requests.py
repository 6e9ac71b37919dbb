"""Restarts that somebody asks of a running `dana up`: a file says what, SIGUSR1 says look, a file answers.

ask ─► restarts/<id>.json ─► SIGUSR1 ─► up restarts, one by one ─► lines in restarts/<id>.jsonl ─► done
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from dana.platform.local.programs import CannotStartError

POLL_SECONDS = 0.05
LONGEST_SECONDS = 600.0  # 32 processes, one after the other, on a slow machine

Tell = Callable[[dict[str, Any]], None]


def ask_restart(data_dir: Path, service: str | None) -> Iterator[dict[str, Any]]:
    """Ask the running `dana up` of a data folder for a restart; yields its news, and ends with it.

    Raises CannotStartError with one sentence when none runs, or when it can't restart that.
    """
    pid = _running(data_dir)
    folder = data_dir / "restarts"
    folder.mkdir(mode=0o700, exist_ok=True)
    name = uuid4().hex
    question, answer = folder / f"{name}.json", folder / f"{name}.jsonl"
    partial = folder / f"{name}.partial"
    partial.write_text(json.dumps({"service": service}))
    answer.touch(mode=0o600)
    partial.rename(question)
    try:
        os.kill(pid, signal.SIGUSR1)
        yield from _read(answer, pid)
    finally:
        question.unlink(missing_ok=True)
        answer.unlink(missing_ok=True)


def take_requests(data_dir: Path) -> list[tuple[str | None, Tell]]:
    """Take what has been asked for since the last time: the service (or None for all), and how to answer."""
    folder = data_dir / "restarts"
    taken = []
    for question in sorted(folder.glob("*.json")):
        asked = json.loads(question.read_text())
        taken.append((asked["service"], _teller(question.with_suffix(".jsonl"))))
        question.unlink(missing_ok=True)
    return taken


def _teller(answer: Path) -> Tell:
    def tell(news: dict[str, Any]) -> None:
        with answer.open("a") as file:
            file.write(json.dumps(news) + "\n")

    return tell


def _running(data_dir: Path) -> int:
    try:
        state = json.loads((data_dir / "instance.json").read_text())
        pid = int(state["pid"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError):
        raise CannotStartError(f"No Dana runs on {data_dir}.") from None
    if not state.get("takes_restarts"):
        raise CannotStartError(f"The Dana on {data_dir} is still starting; try again when it is ready.")
    return pid


def _read(answer: Path, pid: int) -> Iterator[dict[str, Any]]:
    """Yield the lines of the answer until one says that it is over."""
    deadline = time.monotonic() + LONGEST_SECONDS
    read = 0
    while time.monotonic() < deadline:
        lines = answer.read_text().splitlines(keepends=True)
        for line in lines[read:]:
            if not line.endswith("\n"):
                break
            read += 1
            news: dict[str, Any] = json.loads(line)
            if "failed" in news:
                raise CannotStartError(str(news["failed"]))
            if news.get("is_done"):
                return
            yield news
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            raise CannotStartError("Dana ended before the restart was done.") from None
        time.sleep(POLL_SECONDS)
    raise CannotStartError(f"Dana didn't finish the restart in {LONGEST_SECONDS:.0f} s; see its logs.")
