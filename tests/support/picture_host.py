"""A host of pictures on loopback that behaves as hosts really do, and a network in which it is a public one.

The gate in front of it is the real one: what resolves names gives it a public address, and what dials leads there. So
nothing of the product knows of loopback, and nothing leaves this machine.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
import zlib
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from PIL import Image

from backend.catalogue.fetch.gate import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST, PUBLIC = "pictures.test", "93.184.215.14"
_MODIFIED = "Wed, 01 Jul 2026 10:00:00 GMT"
_TICK_S = 0.02


def picture(kind: str = "JPEG", seed: int = 1, side: int = 32) -> bytes:
    """Draw a small picture, another one for each seed."""
    made = Image.new("RGB", (side, side), (seed * 37 % 256, seed // 256 * 11 % 256, seed % 256))
    made.putpixel((seed % side, seed // side % side), (255, 255, 255))
    stream = io.BytesIO()
    made.save(stream, kind)
    return stream.getvalue()


class PictureHost(ThreadingHTTPServer):
    """The server; ``asked`` counts the questions by path, ``sent`` the bytes of pictures by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.asked: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.headers: dict[str, dict[str, str]] = {}
        self.ended = threading.Event()
        self.more: dict[str, Callable[[_Answering], None]] = {}
        self.lock = threading.Lock()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def network(self, *, then: str = PUBLIC) -> Network:
        """Return a network with this host in it; whoever resolves a name again is given ``then``."""
        first: set[str] = set()

        def resolve(host: str, _port: int) -> list[str]:
            answer = PUBLIC if host not in first else then
            first.add(host)
            return [answer]

        def dial(ip: str, _port: int, timeout_s: float) -> socket.socket:
            assert ip == PUBLIC, f"dialled {ip}"
            return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

        return Network(resolve, dial)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is none."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: PictureHost

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.asked[self.path] += 1
            self.count = self.server.asked[self.path]
            self.server.headers[self.path] = dict(self.headers.items())
        answer = self.server.more.get(path) or _ANSWERS.get(path) or _not_there
        answer(self)

    def say(self, status: int, body: bytes = b"", kind: str = "image/jpeg", **headers: str) -> None:
        self.send_response(status)
        headers = {"Content_Type": kind, "Content_Length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        if status == 200:
            with self.server.lock:
                self.server.sent[self.path] += len(body)

    def stream(self, piece: bytes) -> None:
        """Send a body without an end, a piece at a time."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.end_headers()
        self.wfile.write(picture()[:20])
        while not self.server.ended.wait(_TICK_S if len(piece) == 1 else 0):
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _plain(asked: _Answering) -> None:
    sign = '"' + str(zlib.crc32(asked.path.encode())) + '"'
    if asked.headers.get("If-None-Match") == sign:
        asked.say(304, ETag=sign)
    else:
        asked.say(200, picture(seed=zlib.crc32(asked.path.encode()) % 10_000), ETag=sign, Last_Modified=_MODIFIED)


def _not_there(asked: _Answering) -> None:
    asked.say(404, b"<html>not here</html>", "text/html")


def _negotiated(asked: _Answering) -> None:
    accepted = asked.headers.get("Accept", "")
    kind = "WEBP" if "image/webp" in accepted else "AVIF" if "image/avif" in accepted else "JPEG"
    asked.say(200, picture(kind, seed=9), f"image/{kind.lower()}", Vary="Accept")


def _forbidding(asked: _Answering) -> None:
    is_browser = "Mozilla" in asked.headers.get("User-Agent", "")
    asked.say(403 if is_browser else 200, picture(seed=11))


def _html(status: int = 200) -> Callable[[_Answering], None]:
    return lambda asked: asked.say(status, b"<!DOCTYPE html><html><body>Sorry</body></html>")


def _bomb(asked: _Answering) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(8)) + packer.flush()
    asked.say(200, packed, Content_Encoding="gzip")


def _short(asked: _Answering) -> None:
    asked.close_connection = True
    asked.say(200, picture()[:100], Content_Length="9000")


def _large(asked: _Answering) -> None:
    asked.close_connection = True
    asked.say(200, picture(), Content_Length="200000000")


def _to(place: str) -> Callable[[_Answering], None]:
    return lambda asked: asked.say(302, Location=place)


_SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>1</script></svg>'
_ANSWERS: dict[str, Callable[[_Answering], None]] = {
    "/ok.jpg": _plain,
    "/i": _plain,
    "/cdn-cgi/image/w=500,q=75,f=auto,/p/1.jpg": _plain,
    "/poster%20a3.jpeg": _plain,
    "/m%C3%B6we.jpg": _plain,
    "/r/1": _to("/ok.jpg"),
    "/r/loop": _to("/r/loop"),
    "/r/inside": _to("http://127.0.0.1:1/"),
    "/410.jpg": lambda asked: asked.say(410),
    "/429.jpg": lambda asked: asked.say(429, Retry_After="2") if asked.count == 1 else _plain(asked),
    "/503.jpg": lambda asked: asked.say(503) if asked.count <= 2 else _plain(asked),
    "/403.jpg": _forbidding,
    "/html.jpg": _html(),
    "/octet.jpg": lambda asked: asked.say(200, picture(seed=3), "application/octet-stream"),
    "/auto.jpg": _negotiated,
    "/x.avif": lambda asked: asked.say(200, picture("AVIF", seed=4), "image/avif"),
    "/x.svg": lambda asked: asked.say(200, _SVG, "image/svg+xml"),
    "/x.gif": lambda asked: asked.say(200, picture("GIF", seed=5), "image/gif"),
    "/placeholder.png": lambda asked: asked.say(200, picture("PNG", seed=6), "image/png"),
    "/empty.jpg": lambda asked: asked.say(200),
    "/short.jpg": _short,
    "/gzip.jpg": _bomb,
    "/large.jpg": _large,
    "/endless.jpg": lambda asked: asked.stream(bytes(1 << 16)),
    "/slow.jpg": lambda asked: asked.stream(b"\0"),
    "/noai.jpg": lambda asked: asked.say(200, picture(seed=7), X_Robots_Tag="noai"),
}


def network_to(port: int) -> Network:
    """Return a network in which every name is a public host, which is this machine's port; it can be pickled into a job."""

    def resolve(_host: str, _port: int) -> list[str]:
        return [PUBLIC]

    def dial(_ip: str, _port: int, timeout_s: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)

    return Network(resolve, dial)


@contextmanager
def picture_host() -> Iterator[PictureHost]:
    """Run the server for as long as it is wanted; nothing of it is left."""
    server = PictureHost()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Audit:
    """The connections of this process, as the interpreter itself tells them; a hook cannot be taken away again."""

    def __init__(self) -> None:
        self.seen: list[object] | None = None
        self.is_set = False

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect" and self.seen is not None:
            self.seen.append(arguments[1])


_AUDIT = _Audit()


@contextmanager
def connections() -> Iterator[list[object]]:
    """Give the addresses that this process connects to meanwhile."""
    if not _AUDIT.is_set:
        sys.addaudithook(_AUDIT.hook)
        _AUDIT.is_set = True
    _AUDIT.seen = seen = []
    try:
        yield seen
    finally:
        _AUDIT.seen = None
