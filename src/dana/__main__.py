"""The `dana` command. Each command imports what it needs when it runs, so that all of them start quickly."""

from pathlib import Path
from typing import Annotated

import typer

from dana.cli.backup import group as backup
from dana.cli.events import group as events
from dana.cli.gateway import group as gateway
from dana.cli.jobs import group as jobs
from dana.cli.shards import group as shards
from dana.contracts.views import PlatformRole

cli = typer.Typer(
    help="Dana: talk with customers on every channel; the assistant answers from your own knowledge.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
evaluation = typer.Typer(
    help="Score search and answers on your own questions (SQuAD format).", no_args_is_help=True
)
admins = typer.Typer(help="Who runs the platform, beside any organization.", no_args_is_help=True)
cli.add_typer(jobs, name="jobs")
cli.add_typer(events, name="events")
cli.add_typer(evaluation, name="eval")
cli.add_typer(backup, name="backup")
cli.add_typer(gateway, name="gateway")
cli.add_typer(shards, name="shards")
cli.add_typer(admins, name="admins")

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
    split: Annotated[bool, typer.Option("--split", help="Run each service in a process of its own.")] = False,
    replicas: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVICE=N", help="How many processes of a service, such as realtime=2."),
    ] = None,
) -> None:
    """Start everything on this machine; Ctrl-C stops it."""
    from dana.cli.up import up as start  # noqa: PLC0415

    start(data, host, port, is_split=split, replicas=replicas or [])


@cli.command()
def restart(
    service: Annotated[
        str | None, typer.Argument(help="Only this service, or this process; all when left out.")
    ] = None,
    data: Data = Path(".dana"),
) -> None:
    """Replace the processes of the running `dana up`, one after the other, without a failed request."""
    from dana.cli.restart import restart as run  # noqa: PLC0415

    run(data, service)


@cli.command()
def run(
    services: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SERVICE",
            help="auth, conversations, knowledge, ai, placement, realtime, web (pages and the API's "
            "description), or all.",
        ),
    ] = None,
) -> None:
    """Run some services in this process, as the DANA_… variables say.

    Each may run in any number of processes. They find each other by the
    database, by Valkey or RabbitMQ, and by the gateway's endpoint files (or
    DANA_KNOWLEDGE_URL). `dana up --split` starts them all on one machine.
    """
    from dana.cli.run import run as start  # noqa: PLC0415

    start(services or [])


@cli.command()
def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Only list what would run.")] = False,
    data: Data = Path(".dana"),
) -> None:
    """Bring the catalog and all shards up to date."""
    from dana.cli.database import migrate as run  # noqa: PLC0415

    run(data, only_plan=plan)


@cli.command()
def doctor(data: Data = Path(".dana")) -> None:
    """Look for what could keep Dana from running well."""
    from dana.cli.doctor import doctor as run  # noqa: PLC0415

    run(data)


@cli.command()
def openapi() -> None:
    """Print the description of the HTTP API."""
    from dana.cli.openapi import openapi as run  # noqa: PLC0415

    run()


@admins.command("grant")
def grant_admin(
    email: str,
    role: Annotated[
        PlatformRole, typer.Option(help="support looks, an admin acts, a super_admin may do everything.")
    ] = PlatformRole.ADMIN,
    data: Data = Path(".dana"),
) -> None:
    """Give somebody who has signed up a role on the platform. It counts from their next access token on."""
    from dana.cli.admins import grant  # noqa: PLC0415

    grant(data, email, role)


@admins.command("revoke")
def revoke_admin(email: str, data: Data = Path(".dana")) -> None:
    """Take a role on the platform away. Access tokens already given out end within ten minutes."""
    from dana.cli.admins import revoke  # noqa: PLC0415

    revoke(data, email)


@admins.command("list")
def list_admins(data: Data = Path(".dana")) -> None:
    """List who has a role on the platform."""
    from dana.cli.admins import list_admins as run  # noqa: PLC0415

    run(data)


@evaluation.command("retrieval")
def evaluate_retrieval(questions: Questions, as_json: AsJson = False) -> None:
    """How often search finds the right paragraph."""
    from dana.cli.evaluate import evaluate  # noqa: PLC0415

    evaluate("retrieval", questions, as_json=as_json)


@evaluation.command("answers")
def evaluate_answers(questions: Questions, as_json: AsJson = False) -> None:
    """How often the assistant quotes the right sentence, and stays silent when it should."""
    from dana.cli.evaluate import evaluate  # noqa: PLC0415

    evaluate("answers", questions, as_json=as_json)


if __name__ == "__main__":
    main()
