"""How a host is treated: a few questions at a time, pauses as it asks for, and none for a while once it only fails."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event, Lock, Semaphore
from typing import TYPE_CHECKING

from backend.errors import ImageRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from protego import Protego

FAILURES = 8  # in a row, after which a host is left alone for a while
_REST_S = 20.0
_RESTS = 3  # after which it is left alone until the next fetch
_LONGEST_DELAY_S = 60.0  # that robots.txt may ask for between two questions


@dataclass(slots=True)
class _Host:
    places: Semaphore
    ready_at: float = 0.0
    interval: float = 0.0
    failures: int = 0
    rests: int = 0
    given_up: ImageRejected | None = None
    robots: dict[str, Protego | ImageRejected] = field(default_factory=dict)
    robots_lock: Lock = field(default_factory=Lock)


class Clock:
    """What time it is, and waiting that a cancellation ends."""

    def __init__(self) -> None:
        self.stopped = Event()

    def now(self) -> float:
        """Return seconds, growing."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait, at most until the fetch is stopped."""
        self.stopped.wait(seconds)


class Manners:
    """What is known of every host that was asked; for any number of threads.

    Args:
        clock: For waiting.
        own, foreign: Questions at the same time, to a host of the operator's and to another's.
    """

    def __init__(self, clock: Clock, *, own: int = 8, foreign: int = 2) -> None:
        self.clock = clock
        self._own, self._foreign = own, foreign
        self._hosts: dict[str, _Host] = {}
        self._lock = Lock()

    def at_once(self, *, is_own: bool) -> int:
        """Return how many questions one host is asked at the same time."""
        return self._own if is_own else min(self._own, self._foreign)

    @contextmanager
    def turn(self, name: str, *, is_own: bool) -> Iterator[None]:
        """Wait until a host may be asked, and hold one of its places.

        Raises:
            ImageRejected: It is left alone by now.
        """
        host = self.host(name, is_own=is_own)
        with host.places:
            while True:
                with self._lock:
                    if host.given_up is not None:
                        raise host.given_up
                    left = host.ready_at - self.clock.now()
                    if left <= 0 or self.clock.stopped.is_set():
                        host.ready_at = max(host.ready_at, self.clock.now() + host.interval)
                        break
                self.clock.wait(left)
            yield

    def host(self, name: str, *, is_own: bool) -> _Host:
        """Return what is known of a host."""
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = _Host(Semaphore(self.at_once(is_own=is_own)))
            return self._hosts[name]

    def slow_down(self, name: str, seconds: float, *, is_own: bool) -> None:
        """Leave a pause between the questions to a host, as its robots.txt asks."""
        self.host(name, is_own=is_own).interval = min(seconds, _LONGEST_DELAY_S)

    def pause(self, name: str, seconds: float, *, most: float, is_own: bool) -> None:
        """Do as a host says that asks to wait: nobody asks it until then, or ever, where that is too long."""
        host = self.host(name, is_own=is_own)
        with self._lock:
            host.ready_at = max(host.ready_at, self.clock.now() + seconds)
            if seconds > most:
                host.given_up = ImageRejected(
                    f"{name} asks to wait for {seconds / 60:,.0f} minutes.",
                    code="host_busy",
                    next_step="Fetch the rest later.",
                )

    def answered(self, name: str, *, is_own: bool) -> None:
        """Note that a host works."""
        host = self.host(name, is_own=is_own)
        host.failures = host.rests = 0

    def failed(self, name: str, *, is_own: bool) -> None:
        """Note that a host does not work; after some of these in a row nobody asks it for a while."""
        host = self.host(name, is_own=is_own)
        with self._lock:
            host.failures += 1
            if host.failures < FAILURES or host.ready_at > self.clock.now():
                return
            host.failures = FAILURES - 1  # one question after the rest shows whether it works
            host.rests += 1
            host.ready_at = self.clock.now() + _REST_S * 2 ** (host.rests - 1)
            if host.rests >= _RESTS:
                host.given_up = ImageRejected(
                    f"{name} failed again and again, so it is left alone.",
                    code="host_down",
                    next_step="Check that the host works, then fetch the rest.",
                )


def seconds_of(retry_after: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float:
    """Read the header ``Retry-After``: seconds, or a date; zero where it is neither.

    Example:
        >>> seconds_of("120")
        120.0
    """
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        due = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, (due.replace(tzinfo=due.tzinfo or UTC) - now()).total_seconds())
