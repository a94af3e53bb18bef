"""Who asks at the edges that nobody signs in at: an account of this machine owns the home, and may do everything."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from backend.access.asking import Asking
from backend.access.audit import journal
from backend.access.people import people_of, role_of
from backend.access.person import Person, Role
from backend.access.sign_ins import OF_LIST, sign_ins
from backend.access.way_in import sign_in_url
from backend.errors import SettingsError

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


def by_session(settings: Settings, session: Entry, address: str = "") -> Person | None:
    """Return who a session or a one-time address is of, with the role that they have now; None where they were removed."""
    if session.role == OF_LIST and people_of(settings.home).listed().get(session.name) is None:
        return None
    return Person(session.name, role_of(settings, session.name, (session.role,)), "app", address)


def new_address(settings: Settings, name: str = "") -> str:
    """Return a one-time address that signs somebody in to the app.

    Args:
        settings: Of the home.
        name: Somebody of the list of people; left out, it is the account of this process, as an administrator.

    Raises:
        SettingsError: There is nobody of that name in the list.
    """
    if name and people_of(settings.home).listed().get(name) is None:
        raise SettingsError(
            f"{name} is not in the list of people.",
            next_step="Add them first: `python -m backend people set NAME viewer`, or another role.",
        )
    secret = sign_ins(settings).issue(name or account(), OF_LIST if name else Role.ADMIN.title)
    return sign_in_url(settings, secret.reveal())


def journal_of(settings: Settings) -> Journal:
    """Return where actions on a home are written down."""
    return journal(settings)
