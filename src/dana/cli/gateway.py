"""`dana gateway`: take one out of service without breaking anything, and emit it for Kubernetes."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from dana.platform.gateway.model import Gateway

group = typer.Typer(
    help="The gateway: take it out of service, or emit it for Kubernetes.", no_args_is_help=True
)

Data = Annotated[Path, typer.Option("--data", envvar="DANA_DATA", help="The folder of all data and secrets.")]
HERE = Path(".dana")
LOOKS_EVERY_SECONDS = 0.5


@group.command(epilog="Example: dana gateway kubernetes --host dana.example.com | kubectl apply -f -")
def kubernetes(
    *,
    namespace: Annotated[str, typer.Option(help="Where everything is to stand.")] = "dana",
    host: Annotated[str | None, typer.Option(help="The name people come by; without it, any.")] = None,
    certificate: Annotated[str, typer.Option(help="The Secret with the certificate.")] = "dana-tls",
    gateway_class: Annotated[str, typer.Option(help="The GatewayClass of Envoy Gateway.")] = "eg",
    only_keys: Annotated[
        bool,
        typer.Option("--keys", help="Print the ConfigMaps with this installation's public keys instead."),
    ] = False,
    data: Data = HERE,
) -> None:
    """Print the gateway as resources of the Gateway API and Envoy Gateway, as YAML."""
    from dana.platform.gateway import kubernetes as emitter  # noqa: PLC0415

    cluster = emitter.Cluster(namespace, gateway_class, certificate, host)
    if only_keys:
        gateway = emitter.dana_gateway(_public_keys(data))
        sys.stdout.write(emitter.render(emitter.keys(gateway, cluster)))
        return
    sys.stdout.write(emitter.render(emitter.resources(emitter.dana_gateway(), cluster)))


@group.command()
def drain(
    seconds: Annotated[
        float, typer.Option("--wait", min=0, help="How long to wait for what is under way.")
    ] = 15.0,
    data: Data = HERE,
) -> None:
    """Let its probe fail and its clients go elsewhere with their next request; then wait for the rest."""
    from dana.cli.terminal import print_json  # noqa: PLC0415
    from dana.platform.local import envoy  # noqa: PLC0415
    from dana.platform.local.programs import CannotStartError  # noqa: PLC0415

    gateway = _running(data)
    try:
        envoy.drain(gateway)
        ends = time.monotonic() + seconds
        while (left := envoy.under_way(gateway)) and time.monotonic() < ends:
            time.sleep(LOOKS_EVERY_SECONDS)
    except CannotStartError as problem:
        _fail(problem)
    print_json({"draining": True, "under_way": left})


@group.command()
def resume(data: Data = HERE) -> None:
    """Take `drain` back."""
    from dana.cli.terminal import print_json  # noqa: PLC0415
    from dana.platform.local import envoy  # noqa: PLC0415
    from dana.platform.local.programs import CannotStartError  # noqa: PLC0415

    try:
        envoy.resume(_running(data))
    except CannotStartError as problem:
        _fail(problem)
    print_json({"draining": False})


def _running(data: Path) -> "Gateway":
    from dana.platform.gateway.model import Gateway  # noqa: PLC0415

    return Gateway(0, data.absolute() / "gateway", (), ())


def _public_keys(data: Path) -> dict[str, dict[str, Any]]:
    from dana.platform.identity import MEMBER_ISSUER, VISITOR_ISSUER, Keys  # noqa: PLC0415
    from dana.platform.secrets import Secrets  # noqa: PLC0415

    folder = Path(os.environ.get("DANA_SECRETS", str(data / "secrets")))
    if not folder.is_dir():
        _fail(f"There are no secrets in {folder}: say with --data where this installation's are.")
    keys = Keys(Secrets.load(folder))
    return {name: keys.jwks(name) for name in (MEMBER_ISSUER, VISITOR_ISSUER)}


def _fail(problem: object) -> NoReturn:
    from dana.cli.terminal import fail  # noqa: PLC0415

    fail(str(problem))
