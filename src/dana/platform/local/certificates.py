"""The certificate of the public port: read, checked, given to Envoy, and followed when its files change.

files ─► checked as a pair ─► one file beside Envoy's configuration ─► Envoy takes both at once
A pair that doesn't fit, as in the middle of a renewal, never reaches Envoy: the one before stays in use.
"""

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from dana.platform.gateway import envoy
from dana.platform.gateway.model import Gateway, Tls
from dana.platform.local.programs import CannotStartError
from dana.platform.local.supervisor import Say

LOOKS_EVERY_SECONDS = 2.0  # a poll, because certbot, cert-manager and people replace files in different ways
SMALLEST_RSA_BITS = 2048  # Envoy refuses less
CURVES = ("secp256r1", "secp384r1", "secp521r1")


def tls_from_environment() -> Tls | None:
    """Return how clients come by TLS, or None where no certificate is set."""
    port = os.environ.get("DANA_TLS_REDIRECT_PORT")
    if CertificateFiles.from_environment() is None:
        if port:
            raise CannotStartError("DANA_TLS_REDIRECT_PORT needs DANA_TLS_CERT and DANA_TLS_KEY beside it.")
        return None
    if port is not None and not (port.isdigit() and 0 < int(port) < 2**16):
        raise CannotStartError(f"DANA_TLS_REDIRECT_PORT must be a port number, not {port!r}.")
    return Tls(redirect_port=int(port) if port else None)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where somebody else puts the certificate's chain and its key, as PEM."""

    certificate: Path
    key: Path

    @classmethod
    def from_environment(cls) -> "CertificateFiles | None":
        """Read DANA_TLS_CERT and DANA_TLS_KEY."""
        certificate, key = (os.environ.get(name) for name in ("DANA_TLS_CERT", "DANA_TLS_KEY"))
        if not certificate and not key:
            return None
        if not certificate or not key:
            raise CannotStartError("Set both DANA_TLS_CERT and DANA_TLS_KEY, or neither of them.")
        return cls(Path(certificate).absolute(), Path(key).absolute())

    def check(self) -> datetime:
        """Check the pair, and return until when it is valid; raises CannotStartError with one sentence."""
        return self._check(_read(self.certificate), _read(self.key))

    def give(self, gateway: Gateway) -> datetime:
        """Check the pair, give it to the gateway, and return until when it is valid."""
        certificate, key = _read(self.certificate), _read(self.key)
        valid_until = self._check(certificate, key)
        envoy.write_certificate(gateway, certificate.decode(), key.decode())
        return valid_until

    async def follow(self, gateway: Gateway, say: Say, every_seconds: float = LOOKS_EVERY_SECONDS) -> None:
        """Give every new pair to the gateway, for ever; what is no good is said once and not given."""
        seen = self._looks()
        while True:
            await asyncio.sleep(every_seconds)
            looks = self._looks()
            if looks == seen:
                continue
            seen = looks
            try:
                valid_until = self.give(gateway)
            except CannotStartError as problem:
                say("gateway", f"keeps the certificate it has: {problem}")
            else:
                say("gateway", f"has a new certificate, valid until {valid_until:%Y-%m-%d}")

    def _check(self, certificate_pem: bytes, key_pem: bytes) -> datetime:
        try:
            certificate = x509.load_pem_x509_certificates(certificate_pem)[0]
        except ValueError:
            raise CannotStartError(f"{self.certificate} holds no certificate in PEM form.") from None
        try:
            key = load_pem_private_key(key_pem, None)
        except TypeError:
            raise CannotStartError(f"The key in {self.key} has a passphrase; give one without.") from None
        except ValueError:
            raise CannotStartError(f"{self.key} holds no private key in PEM form.") from None
        if not (
            (isinstance(key, rsa.RSAPrivateKey) and key.key_size >= SMALLEST_RSA_BITS)
            or (isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES)
        ):
            raise CannotStartError(
                f"The key in {self.key} must be RSA of {SMALLEST_RSA_BITS} bits or more, or ECDSA on P-256."
            )
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
            raise CannotStartError(
                f"The key in {self.key} doesn't belong to the first certificate in {self.certificate}."
            )
        return self._check_dates(certificate)

    def _check_dates(self, certificate: x509.Certificate) -> datetime:
        now = datetime.now(UTC)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if ends < now:
            raise CannotStartError(
                f"The certificate in {self.certificate} expired on {ends:%Y-%m-%d}; renew it."
            )
        if begins > now:
            raise CannotStartError(
                f"The certificate in {self.certificate} is valid from {begins:%Y-%m-%d %H:%M} UTC on; "
                "wait, or look at this machine's clock."
            )
        return ends

    def _looks(self) -> list[tuple[int, int, int] | None]:
        return [_looks(path) for path in (self.certificate, self.key)]


def _looks(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotStartError(f"{path} can't be read: {error.strerror}.") from None
