"""`dana restart`: the running Dana replaces its processes, one after the other, and goes on answering."""

from pathlib import Path

from dana.cli.terminal import console, fail, is_terminal, print_json
from dana.platform.local.programs import CannotStartError
from dana.platform.local.requests import ask_restart


def restart(data_dir: Path, service: str | None) -> None:
    """Ask for it, and show how it goes."""
    try:
        for news in ask_restart(data_dir.absolute(), service):
            if is_terminal():
                console.print(f"  {news['process']:<18} {news['says']}")
            else:
                print_json(news)
    except CannotStartError as problem:
        fail(str(problem))
