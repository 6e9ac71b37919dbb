"""The certificate's files: what is wrong with them is one sentence, and a new pair is followed."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dana.platform.gateway.model import Gateway
from dana.platform.local.certificates import CertificateFiles, tls_from_environment
from dana.platform.local.programs import CannotStartError
from tests.gateway.certificates import DAY, make_certificate

VARIABLES = ("DANA_TLS_CERT", "DANA_TLS_KEY", "DANA_TLS_REDIRECT_PORT")


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(8443, tmp_path, (), ())


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    found = CertificateFiles(tmp_path / "tls.crt", tmp_path / "tls.key")
    _put(found, *make_certificate("dana.example"))
    return found


def _put(files: CertificateFiles, certificate: str, key: str) -> None:
    files.certificate.write_text(certificate)
    files.key.write_text(key)


def _given(gateway: Gateway) -> tuple[str, str]:
    secret = json.loads(gateway.certificate_file.read_text())["resources"][0]["tls_certificate"]
    return secret["certificate_chain"]["inline_string"], secret["private_key"]["inline_string"]


def test_a_good_pair_is_given_and_only_its_owner_may_read_it(
    files: CertificateFiles, gateway: Gateway
) -> None:
    files.give(gateway)
    assert _given(gateway) == (files.certificate.read_text(), files.key.read_text())
    assert gateway.certificate_file.stat().st_mode & 0o777 == 0o600


def _expired(files: CertificateFiles) -> None:
    _put(files, *make_certificate("dana.example", -2 * DAY, -DAY))


def _early(files: CertificateFiles) -> None:
    _put(files, *make_certificate("dana.example", timedelta(hours=2)))


def _mismatched(files: CertificateFiles) -> None:
    files.key.write_text(make_certificate("dana.example")[1])


def _no_certificate(files: CertificateFiles) -> None:
    files.certificate.write_text("nothing")


def _no_key(files: CertificateFiles) -> None:
    files.key.write_text("nothing")


def _locked(files: CertificateFiles) -> None:
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )


def _weak(files: CertificateFiles) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _unknown(files: CertificateFiles) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda files: files.certificate.unlink(), "can't be read: No such file or directory."),
        (lambda files: files.key.unlink(), "can't be read: No such file or directory."),
        (_no_certificate, "holds no certificate in PEM form."),
        (_no_key, "holds no private key in PEM form."),
        (_locked, "has a passphrase; give one without."),
        (_weak, "must be RSA of 2048 bits or more, or ECDSA on P-256."),
        (_unknown, "must be RSA of 2048 bits or more, or ECDSA on P-256."),
        (_mismatched, "doesn't belong to the first certificate in"),
        (_expired, "expired on"),
        (_early, "is valid from"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_is_not_given(
    files: CertificateFiles, gateway: Gateway, spoil: Callable[[CertificateFiles], None], sentence: str
) -> None:
    spoil(files)
    with pytest.raises(CannotStartError, match=sentence) as refused:
        files.give(gateway)
    assert "\n" not in str(refused.value)
    assert not gateway.certificate_file.exists()


def test_the_environment_names_both_files_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert CertificateFiles.from_environment() is None
    assert tls_from_environment() is None
    monkeypatch.setenv("DANA_TLS_REDIRECT_PORT", "8080")
    with pytest.raises(CannotStartError, match="needs DANA_TLS_CERT"):
        tls_from_environment()
    monkeypatch.setenv("DANA_TLS_CERT", "tls.crt")
    with pytest.raises(CannotStartError, match="Set both"):
        CertificateFiles.from_environment()
    monkeypatch.setenv("DANA_TLS_KEY", "tls.key")
    tls = tls_from_environment()
    assert tls is not None
    assert tls.redirect_port == 8080
    monkeypatch.setenv("DANA_TLS_REDIRECT_PORT", "http")
    with pytest.raises(CannotStartError, match="must be a port number, not 'http'"):
        tls_from_environment()


async def test_a_new_pair_is_followed_and_half_a_pair_is_not(
    files: CertificateFiles, gateway: Gateway
) -> None:
    said: list[str] = []
    files.give(gateway)
    before = _given(gateway)
    following = asyncio.create_task(files.follow(gateway, lambda _, text: said.append(text), 0.02))
    await asyncio.sleep(0)
    new = make_certificate("new.example")
    files.certificate.write_text(new[0])
    await _until(lambda: any("doesn't belong" in text for text in said))
    assert _given(gateway) == before
    replacement = files.key.with_suffix(".new")
    replacement.write_text(new[1])
    replacement.replace(files.key)
    await _until(lambda: _given(gateway) == new)
    assert "has a new certificate" in said[-1]
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")
