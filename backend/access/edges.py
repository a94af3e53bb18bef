"""Who asks at the edges that nobody signs in at: an account of this machine owns the home, and may do everything."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from backend.access.asking import Asking
from backend.access.person import Person, Role

if TYPE_CHECKING:
    from backend.access.asking import Journal
    from backend.access.person import Way
    from backend.settings import Settings


def account(number: int | None = None) -> str:
    """Return the name of an account of this machine, of this process unless one is given; its number if it has no name."""
    number = os.getuid() if number is None else number
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # as in a container that runs as any user
        return str(number)


def by_account(settings: Settings, way: Way) -> Asking:
    """Return that the account of this process asks, as an administrator: whoever can read the files can do all with them."""
    return Asking(Person(account(), Role.ADMIN, way), journal_of(settings))


def journal_of(_settings: Settings) -> Journal:
    """Return where actions on a home are written down."""
    return Unwritten()


class Unwritten:
    """A journal that keeps nothing."""

    def write(self, person: Person, action: str, about: str, result: str) -> None:
        """Keep nothing."""
