"""Over TLS the certificate must be the host's own, in date, and of somebody whom this machine trusts."""

from __future__ import annotations

import ssl
import subprocess

import pytest

from backend.catalogue.fetch import exchange
from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.gate import Hosts
from backend.catalogue.fetch.store import PictureStore
from tests.support.picture_host import HOST, picture_host
from tests.unit.catalogue.fetch.test_fetcher import LIMITS

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def authority(folder):
    """Make one that may sign; returns its certificate, beside which its key is."""
    folder.mkdir()
    made = folder / "authority.pem"
    openssl(
        "req", "-x509", *KEY, "-keyout", made.with_suffix(".key"), "-out", made, "-days", 1, "-subj", "/CN=Authority"
    )
    return made


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """An authority that this process trusts as any program is told to, and what makes the certificates of its hosts."""
    ours = authority(tmp_path / "ours")
    monkeypatch.setenv("SSL_CERT_FILE", str(ours))
    exchange._trusted.cache_clear()

    def served(name, *, days=1, is_ours=True):
        by = ours if is_ours else authority(tmp_path / "theirs")
        made, wish, key = (tmp_path / f"host.{end}" for end in ("pem", "csr", "key"))
        names = f"subjectAltName=DNS:{name}"
        openssl("req", "-new", *KEY, "-keyout", key, "-out", wish, "-subj", f"/CN={name}", "-addext", names)
        signing = ("-CA", by, "-CAkey", by.with_suffix(".key"), "-days", days, "-copy_extensions", "copy")
        openssl("x509", "-req", "-in", wish, "-out", made, "-set_serial", 7, *signing)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made, key)
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
        ({"name": HOST, "days": -1}, "has expired"),
        ({"name": HOST, "is_ours": False}, "is not one that this machine trusts"),
    ],
    ids=["another name", "expired", "another authority"],
)
def test_another_certificate_is_refused_in_a_sentence_and_nothing_is_asked(trusted, fetched, how, says):
    found, _, headers = fetched(trusted(**how))
    assert found.reason.startswith(f"certificate: The certificate of {HOST} {says}, so nothing was requested from it.")
    assert (found.attempts, found.sha256, headers) == (1, "", {})
