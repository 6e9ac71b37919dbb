"""The table of routes and the services agree: each path of the API leads to the process that has it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Router

from dana.app import compose
from dana.platform.gateway.kubernetes import dana_gateway
from dana.platform.gateway.model import Auth, Upstream
from dana.platform.http.app import describe
from dana.platform.identity import Keys
from dana.platform.secrets import Secrets
from dana.platform.settings import Settings
from tests.platform.gateway.precedence import route_of

MODEL = dana_gateway()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of an installation that nobody connects to."""
    home = tmp_path_factory.mktemp("home")
    return Settings(
        data_dir=home,
        database_url="postgresql://nobody@127.0.0.1:9/none",
        redis_url="redis://127.0.0.1:9",
        public_url="http://localhost:8080",
        secrets=Secrets.load(home / "secrets"),
        web_dir=home,
        widget_dir=home,
    )


@pytest.mark.parametrize("name", list(Upstream))
def test_every_path_leads_to_the_process_that_has_it(name: Upstream, settings: Settings) -> None:
    keys = Keys(settings.secrets)
    for service, _ in compose(settings, {name.value}).services:
        described = _described(service.routers, keys)
        for path in described["paths"]:
            if path.startswith(MODEL.closed_paths):
                continue
            route = route_of(MODEL, path.replace("{", "").replace("}", ""))
            assert route is not None
            assert route.upstream is name, path


def test_what_isnt_named_needs_a_members_token_and_finds_nobody_in_particular() -> None:
    route = route_of(MODEL, "/api/v2/whatever")
    assert route is not None
    assert (route.auth, route.upstream) == (Auth.MEMBER, Upstream.WEB)


def test_the_source_names_each_route_once() -> None:
    paths = [route.path for route in MODEL.routes]
    assert len(paths) == len(set(paths))


def test_no_route_is_hidden_by_one_before_it() -> None:
    for route in MODEL.routes:
        found = route_of(MODEL, route.path.replace("*", "0191d7b2"))
        assert found is route, f"{route.path} is never reached"


def test_keys_count_only_where_a_service_says_so(settings: Settings) -> None:
    """A route honours keys exactly where the description of each POST below it has the header."""
    keys = Keys(settings.secrets)
    counted = 0
    for service, _ in compose(settings, {name.value for name in Upstream}).services:
        for path, operations in _described(service.routers, keys)["paths"].items():
            route = route_of(MODEL, path.replace("{", "").replace("}", ""))
            if route is None or "post" not in operations:
                continue
            names = [one["name"].lower() for one in operations["post"].get("parameters", [])]
            assert route.honours_keys == ("idempotency-key" in names), path
            counted += route.honours_keys
    assert counted >= 3


def test_folders_of_a_model_are_its_own(tmp_path: Path) -> None:
    files = {MODEL.endpoints_file(*door) for door in MODEL.doors} | {MODEL.certificate_file}
    assert len(files) == len(Upstream) + 2, "sockets have a file of their own"


def _described(routers: list[Router], keys: Keys) -> dict[str, Any]:
    encoded = msgspec.json.encode(describe(routers, keys, "http://localhost:8080"))
    return msgspec.json.decode(encoded, type=dict[str, Any])
