"""Who looks at the app: as its script, a callback, a fragment or a thread of this process asks."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, TypedDict, TypeVar

import streamlit as st

from app.services import common
from app.words import plain
from backend.access.asking import Asking, asked_by
from backend.access.edges import by_account, by_session, journal_of
from backend.access.sign_ins import sign_ins
from backend.access.way_in import session_cookie, way_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backend.access.person import Person, Role
    from backend.access.sign_ins import SignIns


Content = TypeVar("Content", str, bytes)


def ways() -> Sequence[Callable[[], Person | None]]:
    """Return how to find out who it is, the surest first; where none of them knows, nobody is signed in.

    The account of this machine is one of them only where sign-in is off: it may do everything.
    """
    return (_session,) if is_signing_in() else (_account,)


def _account() -> Person:
    return by_account(common.settings(), "app").person


def _session() -> Person | None:
    settings = common.settings()
    found = _sign_ins().find(st.context.cookies.get(session_cookie(settings), ""))
    return None if found is None else by_session(settings, found, st.context.ip_address or "")


def is_signing_in() -> bool:
    """Whether users sign in at all."""
    return way_in(common.settings()) != "off"


def sign_out() -> None:
    """Have the browser leave by Streamlit's own route, where the door ends the session."""
    st.logout()


@st.cache_resource(show_spinner=False)
def _sign_ins() -> SignIns:
    return sign_ins(common.settings())


def current() -> Person | None:
    """Return who looks at the app; None where nobody is signed in."""
    return next((found for way in ways() if (found := way()) is not None), None)


def may(role: Role) -> bool:
    """Whether whoever looks has this role or a higher one; only what the backend says counts, this spares a click."""
    found = current()
    return found is not None and found.may(role)


def lacking(role: Role) -> str | None:
    """Say which role something needs, beside what is off for that; None for whoever has it."""
    return None if may(role) else f"This needs the role {plain(role.title)}. Ask an administrator of Twinset for it."


class Allowed(TypedDict):
    """Arguments of a button."""

    disabled: bool
    help: str | None


def only_for(role: Role, about: str | None = None) -> Allowed:
    """Return what makes a button one for a role: off for others, with which role it needs in place of what it is ``about``."""
    lacks = lacking(role)
    return {"disabled": lacks is not None, "help": lacks or about}


def bound(make: Callable[[], Content]) -> Callable[[], Content]:
    """Have something made later for whoever looks now: the thread of a download knows no session."""
    found = resolver()

    def made() -> Content:
        with asked_by(found) if found is not None else nullcontext():
            return make()

    return made


def resolver() -> Asking | None:
    """Say who asks, for :func:`backend.access.asking.identify_by`."""
    found = current()
    return None if found is None else Asking(found, journal_of(common.settings()))
