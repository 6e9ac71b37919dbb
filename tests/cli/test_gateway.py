"""`dana gateway` as a person runs it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dana.platform.gateway.kubernetes import dana_gateway
from dana.platform.gateway.model import PROBE_PATH, Upstream
from dana.platform.identity import MEMBER_ISSUER, VISITOR_ISSUER, Keys
from dana.platform.local.programs import free_port
from dana.platform.secrets import Secrets
from tests.gateway.backends import listening
from tests.gateway.certificates import DAY, make_certificate
from tests.gateway.stands import EnvoyStand, Visit, until


def dana(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dana", "gateway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def documents(printed: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(printed))


def test_resources_for_kubernetes_carry_what_was_asked_for() -> None:
    ran = dana("kubernetes", "--namespace", "talk", "--host", "dana.example.com", "--certificate", "mine")
    found = documents(ran.stdout)
    assert ran.returncode == 0
    assert {one["metadata"]["namespace"] for one in found} == {"talk"}
    (gateway,) = [one for one in found if one["kind"] == "Gateway"]
    assert {listener["hostname"] for listener in gateway["spec"]["listeners"]} == {"dana.example.com"}
    assert gateway["spec"]["listeners"][0]["tls"]["certificateRefs"][0]["name"] == "mine"
    assert {tuple(one["spec"]["hostnames"]) for one in found if one["kind"] == "HTTPRoute"} == {
        ("dana.example.com",)
    }


def test_keys_are_public_and_need_an_installation(tmp_path: Path) -> None:
    nobody = dana("kubernetes", "--keys", "--data", str(tmp_path))
    assert nobody.returncode == 1
    assert nobody.stderr.strip().count("\n") == 0
    assert "There are no secrets in" in nobody.stderr
    assert not (tmp_path / "secrets").exists(), "looking makes none"
    (tmp_path / "secrets").mkdir(mode=0o700)
    found = documents(dana("kubernetes", "--keys", "--data", str(tmp_path)).stdout)
    assert {one["kind"] for one in found} == {"ConfigMap"}
    for one in found:
        (key,) = yaml.safe_load(one["data"]["jwks"])["keys"]
        assert key["kty"] == "EC"
        assert "d" not in key, "that would be the private one"


def test_a_gateway_is_drained_and_taken_back(tmp_path: Path) -> None:
    nobody = dana("drain", "--data", str(tmp_path))
    assert nobody.returncode == 1
    assert "No gateway runs in" in nobody.stderr
    folder = tmp_path / "gateway"
    folder.mkdir(mode=0o700)
    keys = Keys(Secrets.load(tmp_path / "secrets"))
    jwks = {name: keys.jwks(name) for name in (MEMBER_ISSUER, VISITOR_ISSUER)}
    model = replace(dana_gateway(jwks), port=free_port(), folder=folder, tls=None)
    with listening("web") as (web,):
        stand = EnvoyStand.start(model, {Upstream.WEB: [web]}, None)
        visit, is_alive = Visit(stand), stand.program.is_alive
        assert is_alive
        try:
            ran = dana("drain", "--wait", "5", "--data", str(tmp_path))
            assert json.loads(ran.stdout) == {"draining": True, "under_way": 0}
            until(lambda: visit.get(PROBE_PATH).status_code == 503)
            assert is_alive(), "or whoever watches it would kill it"
            assert not stand.program.is_ready()
            assert json.loads(dana("resume", "--data", str(tmp_path)).stdout) == {"draining": False}
            until(lambda: visit.get(PROBE_PATH).status_code == 200)
        finally:
            visit.client.close()
            stand.stop()
        assert not is_alive()


@pytest.mark.parametrize(("days", "is_fine"), [(90, True), (5, False), (-1, False)])
def test_the_doctor_looks_how_long_the_certificate_is_valid(tmp_path: Path, days: int, is_fine: bool) -> None:
    certificate, key = make_certificate("dana.example", -2 * DAY, days * DAY)
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    files = {"DANA_TLS_CERT": str(tmp_path / "tls.crt"), "DANA_TLS_KEY": str(tmp_path / "tls.key")}
    command = [sys.executable, "-m", "dana", "doctor", "--data", str(tmp_path / "data")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | files)
    (found,) = [line for line in map(json.loads, ran.stdout.splitlines()) if line["name"] == "Certificate"]
    assert found["is_fine"] is is_fine
    assert ("valid until" if is_fine else "renew it.") in found["says"]
