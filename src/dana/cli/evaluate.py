"""`dana eval …`: scores on a database of its own, so that no real organization is touched."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.table import Table

from dana.cli.terminal import console, errors, fail, is_terminal, print_json
from dana.platform.errors import Problem
from dana.platform.local.postgres import start_postgres
from dana.platform.local.programs import CannotStartError
from dana.platform.migrations import migrate
from dana.platform.settings import Settings
from dana.services.knowledge.actions.evaluation import (
    AnswerScore,
    RetrievalScore,
    eval_answers,
    eval_retrieval,
)

Score = RetrievalScore | AnswerScore
Measure = Callable[[Settings, Path, Callable[[str], None]], Awaitable[Score]]

MEASURES: dict[str, Measure] = {"retrieval": eval_retrieval, "answers": eval_answers}


def evaluate(measure: str, questions: Path, *, as_json: bool) -> None:
    """Index the file's paragraphs, ask its questions, print the score."""
    try:
        with _own_database() as settings:
            score = asyncio.run(_measure(measure, settings, questions))
    except (Problem, CannotStartError) as problem:
        fail(str(problem))
    if as_json or not is_terminal():
        print_json(score)
    else:
        _show(score)


async def _measure(measure: str, settings: Settings, questions: Path) -> Score:
    await migrate(settings)
    with errors.status("Preparing …") as status:
        return await MEASURES[measure](settings, questions, status.update)


@contextmanager
def _own_database() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="dana-eval-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL's account has to get through to its own folder
        server = start_postgres(Path(folder))
        os.environ.update(
            DANA_DATA=folder, DANA_DATABASE_URL=server.dsn, DANA_REDIS_URL="redis://127.0.0.1:1/0"
        )
        try:
            yield Settings.from_environment()
        finally:
            server.stop()


def _show(score: Score) -> None:
    table = Table(box=None, show_header=False)
    for name, figure in msgspec.structs.asdict(score).items():
        table.add_row(name.replace("_", " "), "" if figure is None else f"{figure:g}", style="bold")
    console.print(table)
