"""A download goes on where it stopped, notices a dead address quickly, and never leaves a wrong file behind."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from backend.catalogue.sources import fashion_mnist
from backend.catalogue.sources.download import Patience, download
from backend.errors import Cancelled, DatasetDamaged, DatasetUnavailable, SettingsError
from backend.progress import NullProgress

CONTENT = np.random.default_rng(11).bytes(700_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
QUICK = Patience(timeout_s=2.0, attempts=4, first_pause_s=0.01)


@dataclass
class Site:
    """What the server does, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/file": CONTENT})
    cut_after: int | None = None  # bytes of a body that are sent before the line is cut
    cuts: int = 0  # how many times that happens
    ranges: bool = True
    answers: list[int] = field(default_factory=list)  # statuses to answer with first
    asked: list[str | None] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)  # from a path to another address
    headers: dict[str, str] = field(default_factory=dict)  # of every body
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self):
        asked = self.headers.get("Range")
        self.site.asked.append(asked)
        if self.path in self.site.moved:
            self.send_response(302)
            self.send_header("Location", self.site.moved[self.path])
            self.end_headers()
            return
        content = self.site.files.get(self.path)
        if self.site.answers or content is None:
            self.send_error(self.site.answers.pop(0) if self.site.answers else 404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.site.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self._send(content, start)

    def _send(self, content: bytes, start: int):
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        for header in self.site.headers.items():
            self.send_header(*header)
        self.end_headers()
        is_cut, self.site.cuts = self.site.cuts > 0, max(self.site.cuts - 1, 0)
        self.wfile.write(content[start:][: self.site.cut_after] if is_cut else content[start:])

    def log_message(self, *_):
        """Keep the test's output quiet."""


@pytest.fixture
def site():
    state = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": state}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(site, target, *, md5=MD5, on_bytes=lambda *_: None, patience=QUICK):
    return download(f"{site.url}/file", target, md5=md5, on_bytes=on_bytes, patience=patience)


def test_a_file_arrives_whole_and_progress_grows_to_its_size(site, tmp_path):
    seen = []
    path = fetch(site, tmp_path / "x", on_bytes=lambda *figures: seen.append(figures))
    assert path.read_bytes() == CONTENT
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_cut_transfer_goes_on_where_it_stopped(site, tmp_path):
    site.cut_after, site.cuts = 200_000, 2
    assert fetch(site, tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == [None, "bytes=200000-", "bytes=400000-"]


def test_the_part_of_an_earlier_run_is_used(site, tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT[:300_000])
    assert fetch(site, tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == ["bytes=300000-"]


def test_a_server_without_ranges_starts_over(site, tmp_path):
    site.ranges, site.cut_after, site.cuts = False, 200_000, 1
    assert fetch(site, tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == [None, "bytes=200000-"]


@pytest.mark.parametrize("stale", [b"another file's beginning", CONTENT + b"more than there is"])
def test_the_part_of_another_file_is_thrown_away(site, tmp_path, stale):
    (tmp_path / "x.part").write_bytes(stale)
    assert fetch(site, tmp_path / "x").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(site, tmp_path):
    site.answers = [503, 500]
    assert fetch(site, tmp_path / "x").read_bytes() == CONTENT


def test_a_line_that_is_always_cut_is_given_up_and_what_came_is_kept(site, tmp_path):
    site.cut_after, site.cuts = 1000, 99
    with pytest.raises(DatasetUnavailable, match=r"was interrupted 4 times: 4,000 of 700,000 bytes") as caught:
        fetch(site, tmp_path / "x")
    assert "resumes" in caught.value.next_step
    assert (tmp_path / "x.part").read_bytes() == CONTENT[:4000]


def test_a_file_with_another_checksum_is_named_and_not_kept(site, tmp_path):
    with pytest.raises(DatasetDamaged, match=f"x from .* its MD5 is {MD5}, not {'0' * 32}"):
        fetch(site, tmp_path / "x", md5="0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_refused_at_once(site, tmp_path):
    site.files.clear()
    with pytest.raises(DatasetUnavailable, match="404"):
        fetch(site, tmp_path / "x")
    assert len(site.asked) == 1


def test_nobody_at_the_address_is_noticed_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(DatasetUnavailable, match=r"/x cannot be reached: \[Errno 111\] Connection refused\.") as caught:
        download(f"http://127.0.0.1:{port}/x", tmp_path / "x", md5=MD5, on_bytes=lambda *_: None)
    assert time.monotonic() - started < 3
    assert "TWINSET_FASHION_MNIST_DIR" in caught.value.next_step


def test_a_file_that_has_moved_is_followed_from_where_its_part_ends(site, tmp_path):
    site.moved["/file"] = "/elsewhere"
    site.files = {"/elsewhere": CONTENT}
    (tmp_path / "x.part").write_bytes(CONTENT[:300_000])
    assert fetch(site, tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == ["bytes=300000-", "bytes=300000-"]


@pytest.mark.parametrize("where", ["/file", "file:///etc/hostname"], ids=["in a circle", "out of the web"])
def test_where_a_redirection_leads_nowhere_it_is_said(site, tmp_path, where):
    site.moved["/file"] = where
    with pytest.raises(DatasetUnavailable, match="cannot be reached: ") as caught:
        fetch(site, tmp_path / "x")
    assert caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_kept_as_it_is_sent_whatever_the_server_calls_its_encoding(site, tmp_path):
    site.headers["Content-Encoding"] = "gzip"
    assert fetch(site, tmp_path / "x").read_bytes() == CONTENT


def test_a_proxy_is_asked_where_the_environment_names_one(site, tmp_path, monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", site.url)
    site.files = {"http://elsewhere.invalid/file": CONTENT}
    path = download("http://elsewhere.invalid/file", tmp_path / "x", md5=MD5, on_bytes=lambda *_: None, patience=QUICK)
    assert path.read_bytes() == CONTENT


def test_an_answer_that_does_not_come_is_an_interruption(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing on them
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(DatasetUnavailable, match=r"was interrupted 2 times: timed out\."):
            download(url, tmp_path / "x", md5=MD5, on_bytes=lambda *_: None, patience=Patience(0.05, 2, 0.01))


def test_only_web_addresses_are_opened(tmp_path):
    with pytest.raises(SettingsError, match="is not an http or https address"):
        download("file:///etc/hostname", tmp_path / "x", md5=MD5, on_bytes=lambda *_: None)


def test_a_cancelled_download_keeps_what_came_and_goes_on_later(site, tmp_path):
    def stop_early(done, _total):
        if done > 100_000:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        fetch(site, tmp_path / "x", on_bytes=stop_early)
    kept = (tmp_path / "x.part").stat().st_size
    assert 100_000 < kept < len(CONTENT)
    assert fetch(site, tmp_path / "x").read_bytes() == CONTENT
    assert site.asked[-1] == f"bytes={kept}-"


def test_all_four_files_are_fetched_and_the_second_time_none(site, settings, idx_folder, tmp_path):
    site.files = {f"/{name}": (idx_folder.path / name).read_bytes() for name in idx_folder.checksums}
    settings = replace(settings, cache_dir=tmp_path / "cache", fashion_mnist_url=site.url)
    reports = []

    class Listener(NullProgress):
        def report(self, done, total, *, unit="", note=""):
            reports.append((done, total, unit))

    folder = fashion_mnist.obtain(settings, Listener(), checksums=idx_folder.checksums)
    assert folder == tmp_path / "cache" / "fashion-mnist"
    assert reports == sorted(reports)
    assert reports[-1] == (4, 4, "files")
    assert len(site.asked) == 4
    assert fashion_mnist.obtain(settings, NullProgress(), checksums=idx_folder.checksums) == folder
    assert len(site.asked) == 4
