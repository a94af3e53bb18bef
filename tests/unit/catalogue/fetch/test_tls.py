"""Over TLS the certificate must be the host's own, in date, and of somebody whom this machine trusts."""

from __future__ import annotations

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backend.catalogue.fetch import exchange
from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.gate import Hosts
from backend.catalogue.fetch.store import PictureStore
from tests.support.picture_host import HOST, picture_host
from tests.unit.catalogue.fetch.test_fetcher import LIMITS

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def certificate(name, key, issuer, *, ends, signed_by, is_authority=False):
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 30 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    return builder.sign(signed_by, hashes.SHA256())


def pem(made):
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """An authority that this process trusts as any program is told to, and what makes the certificates of its hosts."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = certificate("Authority", key, "Authority", ends=NOW + DAY, signed_by=key, is_authority=True)
    (tmp_path / "authority.pem").write_bytes(pem(authority))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    exchange._trusted.cache_clear()
    own = ec.generate_private_key(ec.SECP256R1())

    def served(name, ends=NOW + DAY, by=key):
        path = tmp_path / "host.pem"
        private = own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + pem(certificate(name, own, "Authority", ends=ends, signed_by=by)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    yield served
    exchange._trusted.cache_clear()


@pytest.fixture
def fetched(tmp_path):
    def fetch(context):
        with picture_host() as host:
            said = []
            context.sni_callback = lambda _socket, name, _context: said.append(name)
            host.socket = context.wrap_socket(host.socket, server_side=True, do_handshake_on_connect=False)
            with Fetcher(
                Hosts(frozenset({HOST})),
                PictureStore(tmp_path / "fetched"),
                max_pixels=1_000_000,
                network=host.network(),
                limits=LIMITS,
            ) as fetcher:
                line = fetcher.line()
                found = fetcher.fetch(f"https://{HOST}/ok.jpg", line)
                line.close()
            return found, said, dict(host.headers.get("/ok.jpg", {}))

    return fetch


def test_the_certificate_of_the_host_is_accepted(trusted, fetched):
    found, said, headers = fetched(trusted(HOST))
    assert (found.reason, found.status, found.kind) == ("", 200, "JPEG")
    assert (said, headers["Host"]) == ([HOST], HOST)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"name": "other.test"}, "is for another name"),
        ({"name": HOST, "ends": NOW - DAY}, "has expired"),
        ({"name": HOST, "by": ec.generate_private_key(ec.SECP256R1())}, "is not one that this machine trusts"),
    ],
    ids=["another name", "expired", "another authority"],
)
def test_another_certificate_is_refused_in_a_sentence_and_nothing_is_asked(trusted, fetched, how, says):
    found, _, headers = fetched(trusted(**how))
    assert found.reason.startswith(f"certificate: The certificate of {HOST} {says}, so nothing was requested from it.")
    assert (found.attempts, found.sha256, headers) == (1, "", {})
