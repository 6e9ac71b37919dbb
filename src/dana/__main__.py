"""The `dana` command. Each command imports what it needs when it runs, so that all of them start quickly."""

from pathlib import Path
from typing import Annotated

import typer

cli = typer.Typer(
    help="Dana: talk with customers on every channel; the assistant answers from your own knowledge.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
events = typer.Typer(help="What is due, what failed for good, and sending it again.", no_args_is_help=True)
evaluation = typer.Typer(
    help="Score search and answers on your own questions (SQuAD format).", no_args_is_help=True
)
cli.add_typer(events, name="events")
cli.add_typer(evaluation, name="eval")

Data = Annotated[Path, typer.Option("--data", envvar="DANA_DATA", help="The folder of all data and secrets.")]
Questions = Annotated[Path, typer.Option("--data", exists=True, dir_okay=False, help="A SQuAD file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


def main() -> None:
    """Run the command line."""
    cli(prog_name="dana")


@cli.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The one public port.")] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for everybody.")] = "127.0.0.1",
    data: Data = Path(".dana"),
) -> None:
    """Start everything on this machine; Ctrl-C stops it."""
    from dana.cli.up import up as start  # noqa: PLC0415

    start(data, host, port)


@cli.command()
def serve() -> None:
    """Run the services in this process, as the DANA_… variables say."""
    from dana.cli.serve import serve as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
