"""TLS with a given certificate, HTTP/2, the redirect from plain HTTP, and a certificate that is replaced."""

import ssl

import httpx
import pytest
from cryptography import x509

from dana.platform.gateway.model import Tls, Upstream
from dana.platform.local.programs import free_port
from tests.gateway.backends import Backend
from tests.gateway.certificates import make_certificate
from tests.gateway.conftest import People, Start
from tests.gateway.stands import Socket, Visit, trusting, until


@pytest.fixture(scope="module")
def by_tls(start_for_all: Start, backends: dict[Upstream, Backend]) -> Visit:
    first = make_certificate("first.example")
    behind = {upstream: [backend] for upstream, backend in backends.items()}
    return start_for_all(behind, tls=Tls(redirect_port=free_port()), certificate=first)


def test_clients_come_by_tls_and_are_told_to_stay_there(by_tls: Visit) -> None:
    answer = by_tls.get("/")
    assert answer.json()["headers"]["x-forwarded-proto"] == "https"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert by_tls.get("/internal").headers["strict-transport-security"], "and so are those who are refused"


def test_http2_and_http1_are_offered(by_tls: Visit, people: People) -> None:
    with httpx.Client(base_url=by_tls.url, http2=True, verify=trusting()) as client:
        answer = client.get("/api/v1/inboxes", headers=people.member())
        assert answer.http_version == "HTTP/2"
        assert answer.json()["by"] == "conversations"
        assert client.post("/api/v1/auth/login", json={}).json()["by"] == "auth"
        assert client.get("/api/v1/inboxes").status_code == 401
    assert by_tls.get("/").http_version == "HTTP/1.1"


def test_sockets_come_by_tls(by_tls: Visit, people: People) -> None:
    connection = trusting().wrap_socket(by_tls.connect(), server_hostname="localhost")
    opened = Socket.open(connection, people.socket(), {})
    assert opened.status == 101
    assert opened.echoes()
    opened.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_versions_are_refused(by_tls: Visit) -> None:
    assert _speak(by_tls, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert _speak(by_tls, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    # For their age, not only because no cipher is left that they know.
    assert _speak(by_tls, ssl.TLSVersion.TLSv1_1) == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_plain_http_on_the_tls_port_is_refused(by_tls: Visit) -> None:
    assert b"200" not in by_tls.raw(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")


def test_plain_http_is_sent_to_tls(by_tls: Visit, backends: dict[Upstream, Backend]) -> None:
    tls = by_tls.stand.model.tls
    assert tls is not None
    plain = f"http://127.0.0.1:{tls.redirect_port}"
    answer = httpx.get(f"{plain}/inbox?page=2")
    assert answer.status_code == 301
    assert answer.headers["location"] == f"{by_tls.url}/inbox?page=2"
    assert not any(backend.seen for backend in backends.values())


def test_a_new_certificate_is_taken_while_sockets_stay_open(by_tls: Visit, people: People) -> None:
    connection = trusting().wrap_socket(by_tls.connect(), server_hostname="localhost")
    opened = Socket.open(connection, people.socket(), {})
    assert _name(by_tls) == "first.example"
    by_tls.stand.give_certificate(*make_certificate("second.example"))
    until(lambda: _name(by_tls) == "second.example")
    assert opened.echoes()
    opened.close()


def _name(visit: Visit) -> str:
    with trusting().wrap_socket(visit.connect(), server_hostname="localhost") as connection:
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    certificate = x509.load_der_x509_certificate(shown)
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def _speak(visit: Visit, version: ssl.TLSVersion) -> str | None:
    """Come with one version; returns it, or why the gateway refuses."""
    context = trusting()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = version
    context.maximum_version = version
    try:
        with context.wrap_socket(visit.connect(), server_hostname="localhost") as connection:
            return connection.version()
    except ssl.SSLError as error:
        return error.reason
