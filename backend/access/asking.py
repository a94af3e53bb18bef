"""Who asks now: set at the edges (app, command line, worker, endpoint), read by use cases; nobody may do nothing.

A process says once how to find out (``identify_by``), and a piece of work that somebody in particular asked for is
done within ``asked_by``, which wins.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from backend.errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backend.access.person import Person


class Journal(Protocol):
    """Where actions are written down; see :mod:`backend.access.audit`."""

    def write(self, person: Person, action: str, about: str, result: str) -> None:
        """Write down one action, and return when it would survive a crash.

        Args:
            person: Who did it.
            action: Name of the use case.
            about: On what, in which version; as ``name=value`` words.
            result: ``done``, ``refused``, or the error's code.
        """


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and where it is written down."""

    person: Person
    journal: Journal


_asked_by: ContextVar[Asking | None] = ContextVar("asked_by", default=None)
_resolver: Callable[[], Asking | None] = lambda: None  # noqa: E731 - replaced by each process


def identify_by(resolver: Callable[[], Asking | None]) -> None:
    """Say how this process finds out who asks; None means that nobody is signed in."""
    global _resolver  # noqa: PLW0603 - one for the process, like its settings
    _resolver = resolver


@contextmanager
def asked_by(asking: Asking) -> Iterator[None]:
    """Do what is within for somebody."""
    token = _asked_by.set(asking)
    try:
        yield
    finally:
        _asked_by.reset(token)


def asked() -> Asking | None:
    """Return for whom the present piece of work is done, where ``asked_by`` says so; asks nobody."""
    return _asked_by.get()


def asking() -> Asking:
    """Return who asks.

    Raises:
        AccessDenied: Nobody is signed in.
    """
    found = _asked_by.get() or _resolver()
    if found is None:
        raise AccessDenied("You are not signed in.", next_step="Sign in, then try again.")
    return found
