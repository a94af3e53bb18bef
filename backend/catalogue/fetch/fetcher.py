"""Fetch one picture by its address: through the gate, with manners, judged by its bytes; never an exception, a reason."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from backend.catalogue.fetch import robots
from backend.catalogue.fetch.address import parse, shown
from backend.catalogue.fetch.bodies import CHECK, OK, check_content, may_read, refused
from backend.catalogue.fetch.exchange import Answer, Broken, Limits, Line
from backend.catalogue.fetch.gate import Gate, Hosts, Network
from backend.catalogue.fetch.manners import Clock, Manners, seconds_of
from backend.catalogue.fetch.records import Fetched
from backend.catalogue.fetch.store import hash_of
from backend.catalogue.fetch.watch import Watch
from backend.errors import ImageRejected
from backend.imaging.pixels import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backend.catalogue.fetch.address import Address
    from backend.catalogue.fetch.store import PictureStore

_UNCHANGED = 304
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_FAULTS = 500
_backoff = wait_exponential_jitter(multiplier=0.5, max=20.0)


class _Again(Exception):
    """It may go better next time; ``reason`` counts where it does not, ``wait_s`` is what the server asks for."""

    def __init__(self, reason: ImageRejected, wait_s: float = 0.0) -> None:
        super().__init__(reason.message)
        self.reason, self.wait_s = reason, wait_s


class _Found(NamedTuple):
    at: Address
    answer: Answer


@dataclass(slots=True)
class _Trace:
    """How far one address came."""

    status: int = 0
    final: str = ""
    attempts: int = 0


class Fetcher:
    """Fetches pictures into a store; for any number of threads, each with a line of its own.

    Args:
        hosts: Which may be asked.
        store: Where pictures are kept.
        network: What is below the gate; tests put a server of their own there.
        limits: Of each picture.
        max_pixels: Largest width x height that is accepted.
        manners: How hosts are treated.
        base: What the addresses of a feed are relative to.
    """

    def __init__(
        self,
        hosts: Hosts,
        store: PictureStore,
        *,
        max_pixels: int,
        network: Network | None = None,
        limits: Limits | None = None,
        manners: Manners | None = None,
        base: Address | None = None,
    ) -> None:
        self.hosts, self.store, self.base = hosts, store, base
        self.manners = manners or Manners(Clock())
        self._network, self._limits, self._max_pixels = network or Network(), limits or Limits(), max_pixels
        self._gate, self._watch = Gate(hosts, self._network), Watch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()

    def stop(self) -> None:
        """End all that is under way: exchanges are cut, and nobody waits any more."""
        self.manners.clock.stopped.set()
        self._watch.cut_all()

    def line(self) -> Line:
        """Return connections for one thread."""
        return Line(self._network, self._limits, self._watch)

    def fetch(
        self,
        text: str,
        line: Line,
        known: Fetched | None = None,
        *,
        before_kept: Callable[[Fetched], object] = lambda _: None,
    ) -> Fetched:
        """Fetch one picture, or find that it is still the one that is known.

        Args:
            text: Its address as the table has it.
            line: Connections of this thread.
            known: What was fetched from there before.
            before_kept: Told of a picture that is about to be put into the store.
        """
        trace = _Trace()
        address = shown(text)
        try:
            asked = parse(text, self.base)
            address = asked.url
            found, data = self._fetched(asked, line, known, trace)
        except ImageRejected as error:
            reason = f"{error.code}: {error.message} {error.next_step}".strip()
            return Fetched(
                address, trace.final, trace.status, attempts=trace.attempts, reason=reason, fetched_at=time.time()
            )
        if data is not None:
            before_kept(found)
            self.store.put(data)
        return found

    def fetch_file(self, text: str, known: Fetched | None = None) -> tuple[Fetched, bytes]:
        """Return what is at an address, whatever it is, and its bytes, through the same gate; nothing is kept.

        Args:
            text: The address.
            known: What was there before; where that did not change, the status is 304, and there are no bytes.

        Raises:
            ImageRejected: It may not be fetched, or cannot be.
        """
        line, trace, asked = self.line(), _Trace(), parse(text, self.base)
        try:
            found = self._persistently(asked, line, known, trace)
        finally:
            line.close()
        if found.answer.status == _UNCHANGED and known is not None:
            return _again(known, trace), b""
        return _came(asked, found, "", trace), found.answer.body

    def _fetched(
        self, asked: Address, line: Line, known: Fetched | None, trace: _Trace
    ) -> tuple[Fetched, bytes | None]:
        """Return what became of an address, and the picture where it is one that is not kept yet."""
        known = known if known and known.sha256 and self.store.has(known.sha256, n_bytes=known.n_bytes) else None
        found = self._persistently(asked, line, known, trace)
        if found.answer.status == _UNCHANGED and known is not None:
            return _again(known, trace), None
        data = found.answer.body
        kind = check_content(data)
        verify(data, max_pixels=self._max_pixels)
        came = _came(asked, found, kind, trace)
        if known is not None and came.sha256 == known.sha256:
            return replace(came, status=_UNCHANGED), None
        return came, data

    def _persistently(self, asked: Address, line: Line, known: Fetched | None, trace: _Trace) -> _Found:
        retrying = Retrying(
            sleep=self.manners.clock.wait,
            stop=lambda state: stop_after_attempt(self._limits.attempts)(state) or self.manners.clock.stopped.is_set(),
            wait=_pause,
            retry=retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            return retrying(self._followed, asked, line, known, trace)
        except _Again as again:
            raise again.reason from again

    def _followed(self, address: Address, line: Line, known: Fetched | None, trace: _Trace) -> _Found:
        """Ask once, and go where redirects lead, each through the same gate."""
        trace.attempts += 1
        for _ in range(self._limits.redirects + 1):
            trace.final = address.url
            answer = self._asked(address, line, known)
            trace.status = answer.status
            if answer.status not in _REDIRECTS:
                return _Found(address, self._judged(address, answer))
            address = parse(_text(answer.headers.get("Location", "")), address)
        raise ImageRejected(
            f"The address redirects more than {self._limits.redirects} times.", code="redirects", next_step=CHECK
        )

    def _asked(self, address: Address, line: Line, known: Fetched | None) -> Answer:
        self._gate.passed(address)  # before its robots.txt is asked for
        if not self.hosts.is_own(address.host):
            robots.check_rules(self._rules(address, line), address.url)
        asked = _conditions(known) if known and known.final == address.url else {}
        return self._exchanged(address, asked, line)

    def _exchanged(
        self, address: Address, headers: Mapping[str, str], line: Line, *, is_picture: bool = True
    ) -> Answer:
        ips, is_own = self._gate.passed(address), self.hosts.is_own(address.host)
        obeys = is_picture and not is_own
        with self.manners.turn(address.host, is_own=is_own):
            try:
                return line.ask(address, ips, headers, lambda answer: may_read(answer, obeys_robots=obeys))
            except Broken as error:
                self.manners.failed(address.host, is_own=is_own)
                reason = f"The server {address.host} did not answer completely: {error}."
                raise _Again(ImageRejected(reason, code="unreachable", next_step="Try again later.")) from error
            except ImageRejected as error:
                if error.code == "too_slow":
                    self.manners.failed(address.host, is_own=is_own)
                raise

    def _judged(self, address: Address, answer: Answer) -> Answer:
        """Return an answer that is a picture, or is still the known one."""
        host, status = address.host, answer.status
        is_own = self.hosts.is_own(host)
        if status not in _AGAIN:
            self.manners.answered(host, is_own=is_own)
        if status in {OK, _UNCHANGED}:
            return answer
        if status not in _AGAIN:
            raise refused(status)
        wait_s = seconds_of(answer.headers.get("Retry-After", ""))
        if wait_s:
            self.manners.pause(host, wait_s, most=self._limits.wait_s, is_own=is_own)
        elif status >= _FAULTS:
            self.manners.failed(host, is_own=is_own)
        busy = ImageRejected(f"The server is busy or failing ({status}).", code="busy", next_step="Try again later.")
        if wait_s > self._limits.wait_s:
            raise busy
        raise _Again(busy, wait_s)

    def _rules(self, address: Address, line: Line) -> robots.Rules:
        """Return what a host's robots.txt says; asked once."""
        host = self.manners.host(address.host, is_own=False)
        with host.robots_lock:
            if address.origin not in host.robots:
                host.robots[address.origin] = rules = self._read_rules(address._replace(target=robots.PATH), line)
                self.manners.slow_down(address.host, robots.delay_of(rules), is_own=False)
            return host.robots[address.origin]

    def _read_rules(self, address: Address, line: Line) -> robots.Rules:
        try:
            for _ in range(self._limits.redirects + 1):
                answer = self._exchanged(address, {}, line, is_picture=False)
                if answer.status not in _REDIRECTS:
                    return robots.rules_of(answer.status, answer.body)
                address = parse(_text(answer.headers.get("Location", "")), address)
        except _Again as error:
            return error.reason
        except ImageRejected as error:
            return error
        return robots.rules_of(404, b"")


def _came(asked: Address, found: _Found, kind: str, trace: _Trace) -> Fetched:
    data, headers = found.answer.body, found.answer.headers
    return Fetched(
        asked.url,
        found.at.url,
        found.answer.status,
        headers.get("ETag", ""),
        headers.get("Last-Modified", ""),
        hash_of(data),
        kind,
        len(data),
        trace.attempts,
        fetched_at=time.time(),
    )


def _again(known: Fetched, trace: _Trace) -> Fetched:
    return replace(known, status=_UNCHANGED, attempts=trace.attempts, fetched_at=time.time())


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), error.wait_s if isinstance(error, _Again) else 0.0)


def _conditions(known: Fetched) -> dict[str, str]:
    asked = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    return {name: value for name, value in asked.items() if value}


def _text(header: str) -> str:
    """Return a header as it was meant: the library reads bytes as Latin-1, servers send UTF-8."""
    if not header:
        raise ImageRejected("The server redirects to nowhere.", code="redirects", next_step=CHECK)
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
