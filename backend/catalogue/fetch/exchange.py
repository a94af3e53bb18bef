"""One question to a server and its answer, over a connection to the very IP address that was checked.

Time is counted over the whole exchange, from the dialling to the last byte: a server that sends a byte a second keeps
every limit that counts from read to read. Bodies are taken as they are sent, never unpacked.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from backend import __version__
from backend.catalogue.sources.pictures.files import MAX_PICTURE_BYTES
from backend.errors import ImageRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3.response import HTTPResponse

    from backend.catalogue.fetch.address import Address
    from backend.catalogue.fetch.gate import Network
    from backend.catalogue.fetch.watch import Watch

AGENT = "Twinset"
HEADERS = {
    "User-Agent": f"{AGENT}/{__version__} (fetches product pictures for a catalogue)",
    # What is kept is what was photographed: AVIF and WebP are made from it, and only taken where there is nothing else.
    "Accept": "image/jpeg, image/png, */*;q=0.5",
    "Accept-Encoding": "identity",
}
_READ_BYTES = 1 << 16
_ASIDE_BYTES = 1 << 14  # of an answer that is no picture: read to its end, the connection can be used again
_KEPT_OPEN = 2  # connections of a thread; redirects lead to a second host
_BROKEN = (OSError, HTTPError, EOFError)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one picture may take.

    Attributes:
        n_bytes: Of a body.
        total_s: Seconds of one exchange, from dialling to its last byte.
        connect_s: Seconds for a connection.
        redirects: That are followed.
        attempts: Questions, where a server says that it is busy or does not answer.
        wait_s: Seconds that a server may ask to wait; where it wants longer, it is left alone.
    """

    n_bytes: int = MAX_PICTURE_BYTES
    total_s: float = 30.0
    connect_s: float = 5.0
    redirects: int = 5
    attempts: int = 4
    wait_s: float = 120.0


class Answer(NamedTuple):
    """What a server said; ``body`` is empty unless it is to be read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Broken(Exception):
    """The exchange came to no answer: nobody there, or the connection broke off; it may be tried again.

    ``is_begun`` says whether the answer had begun.
    """

    is_begun = False


class _Pinned(HTTPConnection):
    """A connection that is dialled by :attr:`dialled`, not by its host's name, and can be cut from another thread."""

    dialled: Callable[[], socket.socket]
    twin: socket.socket | None = None
    was_cut = False

    def _new_conn(self) -> socket.socket:
        self.release()
        made = self.dialled()
        self.twin = made.dup()  # TLS takes the socket itself over, and hides it while it shakes hands
        return made

    def cut(self) -> None:
        """End it, whatever is under way on it."""
        self.was_cut = True  # to whoever reads a body without a length, it looks like its end
        if (twin := self.twin) is not None:
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

    def check_whole(self) -> None:
        """Refuse what was read if it was cut.

        Raises:
            ConnectionAbortedError: It was.
        """
        if self.was_cut:
            raise ConnectionAbortedError("it was cut")

    def release(self) -> None:
        """Let go of what :meth:`cut` needs; not in ``close``, which is called while a last answer is still read."""
        if self.twin is not None:
            self.twin.close()
            self.twin = None


class _Secure(_Pinned, HTTPSConnection):
    """The same with TLS: certificate and SNI are those of the host's name."""


class Line:
    """The connections of one thread, kept open between questions; no other thread may use them.

    Args:
        network: What dials.
        limits: Of each exchange.
        watch: What cuts it.
    """

    def __init__(self, network: Network, limits: Limits, watch: Watch) -> None:
        self._network, self._limits, self._watch = network, limits, watch
        self._open: dict[str, _Pinned] = {}

    def close(self) -> None:
        """Close all connections."""
        for origin in list(self._open):
            self._drop(origin)

    def ask(
        self, address: Address, ips: tuple[str, ...], headers: Mapping[str, str], may_read: Callable[[Answer], bool]
    ) -> Answer:
        """Ask for an address, once.

        Args:
            address: Whose host is named to the server.
            ips: That the connection may be made to.
            headers: To be sent beside :data:`HEADERS`.
            may_read: Told status and headers before the body is read: whether it is wanted; may raise.

        Raises:
            Broken: It came to no answer.
            ImageRejected: It is too large or took too long, or the host's certificate is not to be trusted.
        """
        is_kept = address.origin in self._open
        try:
            return self._asked(address, ips, headers, may_read)
        except Broken as broken:
            if not is_kept or broken.is_begun:
                raise
            return self._asked(address, ips, headers, may_read)  # the server had closed what was kept open

    def _asked(
        self, address: Address, ips: tuple[str, ...], headers: Mapping[str, str], may_read: Callable[[Answer], bool]
    ) -> Answer:
        deadline = time.monotonic() + self._limits.total_s
        connection, response = self._connection(address, ips), None
        try:
            with self._watch.until(deadline, connection.cut):
                more = {**HEADERS, **headers, "Host": address.authority}
                connection.request("GET", address.target, headers=more, preload_content=False, decode_content=False)
                response = connection.getresponse()
                answer = Answer(response.status, response.headers, b"")
                body, is_whole = self._read(response, wanted=may_read(answer), deadline=deadline)
                connection.check_whole()
        except ssl.SSLCertVerificationError as error:
            self._drop(address.origin, response)
            raise _untrusted(address.host, error) from error
        except _BROKEN as error:
            self._drop(address.origin, response)
            if time.monotonic() > deadline:
                raise _too_slow(self._limits) from error
            broken = Broken(str(error) or type(error).__name__)
            broken.is_begun = response is not None
            raise broken from error
        except BaseException:
            self._drop(address.origin, response)
            raise
        if not is_whole:
            self._drop(address.origin, response)
        return answer._replace(body=body)

    def _read(self, response: HTTPResponse, *, wanted: bool, deadline: float) -> tuple[bytes, bool]:
        """Return the body, and whether it was read to its end."""
        most = self._limits.n_bytes if wanted else _ASIDE_BYTES
        if wanted and (response.length_remaining or 0) > most:
            raise _too_large(self._limits)
        found = bytearray()
        while piece := response.read1(_READ_BYTES, decode_content=False):
            found += piece
            if time.monotonic() > deadline:
                raise _too_slow(self._limits)
            if len(found) > most:
                if wanted:
                    raise _too_large(self._limits)
                return b"", False
        return bytes(found), True

    def _connection(self, address: Address, ips: tuple[str, ...]) -> _Pinned:
        if (known := self._open.get(address.origin)) is not None:
            return known
        while len(self._open) >= _KEPT_OPEN:
            self._drop(next(iter(self._open)))
        made: _Pinned
        if address.scheme == "https":
            made = _Secure(address.host, address.port, timeout=self._limits.total_s, ssl_context=_trusted())
        else:
            made = _Pinned(address.host, address.port, timeout=self._limits.total_s)
        made.dialled = lambda: self._dial(ips, address.port)
        self._open[address.origin] = made
        return made

    def _dial(self, ips: tuple[str, ...], port: int) -> socket.socket:
        for ip in ips[:-1]:
            with suppress(OSError):
                return self._set(self._network.dial(ip, port, self._limits.connect_s))
        return self._set(self._network.dial(ips[-1], port, self._limits.connect_s))

    def _set(self, made: socket.socket) -> socket.socket:
        made.settimeout(self._limits.total_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def _drop(self, origin: str, response: HTTPResponse | None = None) -> None:
        if response is not None:
            response.close()  # it has the socket by now, where the server said that it closes
        if (known := self._open.pop(origin, None)) is not None:
            known.close()
            known.release()


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()  # the system's certificates, a company's own among them


_SAYS = {10: "has expired", 9: "is not valid yet", 62: "is for another name", 64: "is for another address"}  # OpenSSL's


def _untrusted(host: str, error: ssl.SSLCertVerificationError) -> ImageRejected:
    says = _SAYS.get(error.verify_code, "is not one that this machine trusts")
    return ImageRejected(
        f"The certificate of {host} {says}, so nothing was requested from it.",
        code="certificate",
        next_step="Ask the owner of the host to renew or correct its certificate.",
    )


def _too_large(limits: Limits) -> ImageRejected:
    return ImageRejected(
        f"The file is larger than the {limits.n_bytes / 1e6:,.0f} MB that are allowed.",
        code="too_large",
        next_step="Save it smaller.",
    )


def _too_slow(limits: Limits) -> ImageRejected:
    return ImageRejected(
        f"The picture did not arrive within {limits.total_s:g} s.", code="too_slow", next_step="Try again later."
    )
