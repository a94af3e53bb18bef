"""Who looks at the app: as its script, a callback, a fragment or a thread of this process asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services import common
from backend.access.asking import Asking
from backend.access.edges import by_account, journal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backend.access.person import Person, Role


def ways() -> Sequence[Callable[[], Person | None]]:
    """Return how to find out who it is, the surest first; where none of them knows, nobody is signed in.

    The account of this machine is one of them only where sign-in is off: it may do everything.
    """
    return (_account,)


def _account() -> Person:
    return by_account(common.settings(), "app").person


def current() -> Person | None:
    """Return who looks at the app; None where nobody is signed in."""
    return next((found for way in ways() if (found := way()) is not None), None)


def may(role: Role) -> bool:
    """Whether whoever looks has this role or a higher one; only what the backend says counts, this spares a click."""
    found = current()
    return found is not None and found.may(role)


def resolver() -> Asking | None:
    """Say who asks, for :func:`backend.access.asking.identify_by`."""
    found = current()
    return None if found is None else Asking(found, journal_of(common.settings()))
