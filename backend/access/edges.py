"""Who asks at the edges that nobody signs in at: an account of this machine owns the home, and may do everything."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from backend.access.asking import Asking
from backend.access.audit import journal
from backend.access.people import role_of
from backend.access.person import Person, Role
from backend.access.sign_ins import sign_ins
from backend.access.way_in import sign_in_url

if TYPE_CHECKING:
    from backend.access.asking import Journal
    from backend.access.person import Way
    from backend.access.sign_ins import Entry
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


def by_session(settings: Settings, session: Entry, address: str = "") -> Person:
    """Return who a session of the app, or a one-time address, is of, with the role that they have now, None where it is none."""
    return Person(session.name, role_of(settings, session.name, (session.role,)), "app", address)


def new_address(settings: Settings, name: str = "") -> str:
    """Return a one-time address that signs somebody in to the app.

    Args:
        settings: Of the home.
        name: Somebody of the list of people; left out, it is the account of this process, as an administrator.
    """
    role = "" if name else Role.ADMIN.title
    return sign_in_url(settings, sign_ins(settings).issue(name or account(), role).reveal())


def journal_of(settings: Settings) -> Journal:
    """Return where actions on a home are written down."""
    return journal(settings)
