"""Every address behaves as it should, against a host on loopback; nothing else is connected to."""

from __future__ import annotations

import logging
import socket
import threading

import pytest

from backend.catalogue.fetch.address import parse
from backend.catalogue.fetch.exchange import Limits
from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.gate import Hosts, Network
from backend.catalogue.fetch.manners import Clock, Manners
from backend.catalogue.fetch.store import PictureStore
from tests.support.picture_host import HOST, PUBLIC, connections, picture, picture_host

# Hosts of addresses that have to be refused are named as allowed: what refuses them is the gate behind that.
ALLOWED = {HOST, "rebind.test", "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "127.0.0.1"}
LIMITS = Limits(n_bytes=1_000_000, total_s=0.4)
TAKEN = {
    "ok": "/ok.jpg",
    "query": "/i?id=1&w=1200&fmt=auto",
    "version": "/ok.jpg?v=1718900211",
    "comma": "/cdn-cgi/image/w=500,q=75,f=auto,/p/1.jpg",
    "space": "/poster%20a3.jpeg",
    "space unescaped": "/poster a3.jpeg",
    "umlaut": "/möwe.jpg",
    "relative": f"//{HOST}/ok.jpg",
    "redirect": "/r/1",
    "busy": "/429.jpg",
    "flaky": "/503.jpg",
    "forbidden": "/403.jpg",
    "octet": "/octet.jpg",
    "negotiated": "/auto.jpg",
    "avif": "/x.avif",
    "gif": "/x.gif",
    "placeholder": "/placeholder.png",
    "robots, of the operator's own host": "/noai.jpg",
    "rebind": "http://rebind.test/ok.jpg",
}
KINDS = {"avif": "AVIF", "gif": "GIF", "placeholder": "PNG"}  # by what the bytes are; where one may choose, the photo
REFUSED = {
    "hops": ("/r/loop", "redirects"),
    "inside": ("/r/inside", "not_public"),
    "metadata": ("http://169.254.169.254/latest/meta-data/", "not_public"),
    "mapped": ("http://[::ffff:169.254.169.254]/", "not_public"),
    "nat64": ("http://[64:ff9b::a9fe:a9fe]/", "not_public"),
    "decimal": ("http://2130706433/", "bad_host"),
    "missing": ("/404.jpg", "not_found"),
    "gone": ("/410.jpg", "gone"),
    "html": ("/html.jpg", "html"),
    "svg": ("/x.svg", "svg"),
    "empty": ("/empty.jpg", "empty"),
    "short": ("/short.jpg", "unreachable"),
    "gzip": ("/gzip.jpg", "encoded"),
    "large": ("/large.jpg", "too_large"),
    "endless": ("/endless.jpg", "too_large"),
    "slow": ("/slow.jpg", "too_slow"),
    "auth": (f"https://user:secret@{HOST}/ok.jpg", "password"),
    "file": ("file:///etc/passwd", "bad_scheme"),
    "data": ("data:image/png;base64,iVBORw0KGgo=", "bad_scheme"),  # loads read it out of the table itself
}
BEFORE_ANY_CONNECTION = {"metadata", "mapped", "nat64", "decimal", "auth", "file", "data"}


class Hurried(Clock):
    """Waits for nothing, and tells what it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def now(self) -> float:
        return super().now() + sum(self.waited)

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


@pytest.fixture(scope="module")
def host():
    with picture_host() as server:
        yield server


@pytest.fixture
def make(host, tmp_path):
    made = []

    def fetcher(*, hosts=Hosts(frozenset(ALLOWED)), network=None, limits=LIMITS, clock=None):  # noqa: B008
        base = parse(f"http://{HOST}/")
        one = Fetcher(
            hosts,
            PictureStore(tmp_path / "fetched"),
            max_pixels=1_000_000,
            network=network or host.network(),
            limits=limits,
            manners=Manners(clock or Hurried()),
            base=base,
        )
        made.append((one, one.line()))
        return made[-1]

    yield fetcher
    for one, line in made:
        line.close()
        one.__exit__()


@pytest.mark.parametrize("name", TAKEN)
def test_a_picture_is_taken(make, host, name):
    fetcher, line = make()
    host.asked.clear()
    with connections() as seen:
        found = fetcher.fetch(TAKEN[name], line)
    assert (found.reason, found.status, found.kind) == ("", 200, KINDS.get(name, "JPEG"))
    assert len(fetcher.store.read(found.sha256)) == found.n_bytes
    assert set(seen) == {("127.0.0.1", host.port)}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "slow" else ()) for name in REFUSED]
)
def test_an_address_is_refused(make, host, name):
    text, code = REFUSED[name]
    fetcher, line = make()
    with connections() as seen:
        found = fetcher.fetch(text, line)
    assert (found.reason.partition(":")[0], found.sha256) == (code, "")
    assert set(seen) <= {("127.0.0.1", host.port)}
    assert (not seen) == (name in BEFORE_ANY_CONNECTION)


def test_another_version_is_another_picture(make):
    fetcher, line = make()
    first, second = (fetcher.fetch(text, line) for text in ("/ok.jpg?v=1", "/ok.jpg?v=2"))
    assert first.address != second.address
    assert first.sha256 != second.sha256


def test_spellings_of_one_address_are_one(make):
    fetcher, line = make()
    assert fetcher.fetch("/poster a3.jpeg", line).address == fetcher.fetch("/poster%20a3.jpeg", line).address
    assert fetcher.fetch("/möwe.jpg", line).address == f"http://{HOST}/m%C3%B6we.jpg"


def test_what_did_not_change_is_not_sent_again(make, host):
    fetcher, line = make()
    known = fetcher.fetch("/ok.jpg?v=same", line)
    host.sent.clear()
    again = fetcher.fetch("/ok.jpg?v=same", line, known)
    assert (again.status, again.sha256, sum(host.sent.values())) == (304, known.sha256, 0)
    assert again.fetched_at > known.fetched_at


def test_a_picture_that_is_lost_is_asked_for_without_a_condition(make):
    fetcher, line = make()
    known = fetcher.fetch("/ok.jpg?v=lost", line)
    fetcher.store.path(known.sha256).unlink()
    assert fetcher.fetch("/ok.jpg?v=lost", line, known).status == 200
    assert fetcher.store.has(known.sha256)


def test_a_name_is_resolved_once_and_the_checked_address_is_dialled(make, host):
    """The network's dialling refuses any other address than the first, and the second answer would be this machine."""
    fetcher, line = make(network=host.network(then="127.0.0.1"))
    assert fetcher.fetch("http://rebind.test/ok.jpg", line).reason == ""
    assert fetcher.fetch("http://rebind.test/ok.jpg?v=2", line).reason == ""
    assert host.headers["/ok.jpg?v=2"]["Host"] == "rebind.test"


def test_a_server_is_told_who_asks_and_left_alone_as_long_as_it_says(make, host):
    host.asked.clear()
    clock = Hurried()
    fetcher, line = make(clock=clock)
    found = fetcher.fetch("/429.jpg", line)
    assert (found.attempts, host.asked["/429.jpg"]) == (2, 2)
    assert sum(clock.waited) >= 2.0
    told = host.headers["/429.jpg"]
    assert told["User-Agent"].startswith("Twinset/")
    assert told["Accept-Encoding"] == "identity"
    assert "Referer" not in told


def test_a_host_that_wants_to_wait_for_long_is_left_alone(make, host):
    host.more["/later.jpg"] = lambda asked: asked.say(503, Retry_After="7200")
    fetcher, line = make()
    assert fetcher.fetch("/later.jpg", line).reason.startswith("busy: ")
    count = sum(host.asked.values())
    assert fetcher.fetch("/ok.jpg", line).reason.startswith("host_busy: ")
    assert sum(host.asked.values()) == count


def test_a_host_that_only_fails_is_left_alone(make, host):
    host.more["/broken.jpg"] = lambda asked: asked.say(500)
    fetcher, line = make()
    for number in range(12):
        fetcher.fetch(f"/broken.jpg?{number}", line)
    count = sum(host.asked.values())
    assert fetcher.fetch("/ok.jpg", line).reason.startswith("host_down: ")
    assert sum(host.asked.values()) == count


def test_a_password_is_neither_kept_nor_logged(make, caplog):
    caplog.set_level(logging.DEBUG)
    fetcher, line = make()
    found = fetcher.fetch(f"https://user:secret@{HOST}/ok.jpg", line)
    assert found.address == f"https://***@{HOST}/ok.jpg"
    assert "secret" not in repr(found) + caplog.text


FOREIGN = Hosts(frozenset({"own.test"}), frozenset({HOST}))


def test_another_ones_host_decides_by_robots_txt(make, host):
    rules = b"User-agent: *\nDisallow: /private/\nCrawl-delay: 3\n"
    host.more["/robots.txt"] = lambda asked: asked.say(200, rules, "text/plain", X_Robots_Tag="noindex")
    clock = Hurried()
    fetcher, line = make(hosts=FOREIGN, clock=clock)
    assert fetcher.fetch("/private/1.jpg", line).reason.startswith("robots: ")
    assert host.asked["/private/1.jpg"] == 0
    assert fetcher.fetch("/ok.jpg?a", line).reason == ""
    assert fetcher.fetch("/ok.jpg?b", line).reason == ""
    assert sum(clock.waited) > 2.9
    assert fetcher.fetch("/noai.jpg", line).reason.startswith("robots: ")
    host.more["/robots.txt"] = lambda asked: asked.say(500)
    fetcher, line = make(hosts=FOREIGN)
    assert fetcher.fetch("/ok.jpg?c", line).reason.startswith("robots: ")
    del host.more["/robots.txt"]


def test_nobody_else_may_be_asked(make):
    fetcher, line = make(hosts=Hosts(frozenset({"*.shop.test"})))
    assert fetcher.fetch("/ok.jpg", line).reason.startswith("host_not_allowed: ")
    fetcher, line = make(hosts=Hosts(frozenset(), frozenset({HOST})))
    assert fetcher.fetch("/ok.jpg", line).reason.startswith("hosts_off: ")


@pytest.mark.slow
def test_a_head_that_trickles_is_cut_by_the_total_time(make, host):
    def trickle(asked):
        asked.close_connection = True
        while not asked.server.ended.wait(0.02):
            asked.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: " if asked.count == 1 else b"a")
            asked.count += 1
            asked.wfile.flush()

    host.more["/trickle.jpg"] = trickle
    fetcher, line = make()
    assert fetcher.fetch("/trickle.jpg", line).reason.startswith("too_slow: ")


def test_a_connection_that_the_server_closed_meanwhile_costs_no_attempt(make, host):
    host.more["/once.jpg"] = lambda asked: (setattr(asked, "close_connection", True), asked.say(200, picture(seed=8)))
    fetcher, line = make()
    assert fetcher.fetch("/once.jpg", line).reason == ""
    found = fetcher.fetch("/ok.jpg?after", line)
    assert (found.reason, found.attempts) == ("", 1)


def test_over_tls_the_name_of_the_host_is_said_and_no_other_certificate_is_taken(make, tmp_path):
    """The greeting of TLS has the host's name in clear; whoever answers it without a certificate is not asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        heard = []

        def answer():
            connection, _ = listening.accept()
            with connection:
                heard.append(connection.recv(4096))

        thread = threading.Thread(target=answer)
        thread.start()
        port = listening.getsockname()[1]
        network = Network(
            lambda *_: [PUBLIC], lambda _ip, _port, wait_s: socket.create_connection(("127.0.0.1", port), wait_s)
        )
        fetcher, line = make(network=network, limits=Limits(total_s=2.0, attempts=1))
        found = fetcher.fetch(f"https://{HOST}/ok.jpg", line)
        thread.join()
    assert found.reason.startswith("unreachable: ")
    assert HOST.encode() in heard[0]
