"""What belongs to one visit of the story: the act, in the address line, and what the visitor did, forgotten with the visit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app import state

if TYPE_CHECKING:
    from backend.serving.client import Answer

BAR = "story_bar"  # of the element that has the keys; Streamlit drops its state when another page is shown
UPLOADER = "story_uploader"
FIND, TRUST, CHANGE, END = ACTS = (1, 2, 3, 4)
_ACT, _NOTES, _VISIT = "act", "notes", "story_visit"


@dataclass(frozen=True, slots=True)
class Asked:
    """The question of act one; ``product_id`` is empty for a photo of the visitor's."""

    image: bytes
    product_id: str = ""


@dataclass(slots=True)
class Visit:
    """What the visitor did.

    Attributes:
        asked: The question of act one, and ``found`` its answer.
        strange: Name of the picture that act two was shown.
        pinned: Id of the product that act three puts first.
    """

    asked: Asked | None = None
    found: Answer | None = None
    strange: str = ""
    pinned: str = ""


def begin() -> Visit:
    """Return this visit; it is a new one after another page, another window, or a click on the page's own link."""
    visit: Visit | None = state.noted(_VISIT)
    if visit is None or BAR not in st.session_state or (visit.asked and _ACT not in st.query_params):
        visit = Visit()
        state.note(_VISIT, visit)
        st.query_params.pop(_ACT, None)
    return visit


def act() -> int:
    """The act that the address line names, the first unless it names one."""
    with suppress(ValueError):
        return min(max(int(st.query_params.get(_ACT, "")), FIND), END)
    return FIND


def turn(to: int = 0) -> None:
    """Go to an act; without one, to that which the bar was just sent to; for callbacks only."""
    sent = st.session_state.get(BAR) or {}
    st.query_params[_ACT] = str(to or sent.get("act") or FIND)


def is_notes() -> bool:
    """Whether this window shows the presenter's notes."""
    return _NOTES in st.query_params


def ask(asked: Asked | None) -> None:
    """Ask anew in act one, or not at all; for callbacks only."""
    state.note(_VISIT, Visit(asked))
    turn(FIND)


def ask_about_upload() -> None:
    """Ask about what was just uploaded; for callbacks only."""
    uploaded = st.session_state.get(UPLOADER)
    if uploaded is not None:
        ask(Asked(uploaded.getvalue()))


def show_strange(name: str) -> None:
    """Have act two show what is answered to a picture of something else; for callbacks only."""
    state.noted(_VISIT).strange = name


def pin(product_id: str) -> None:
    """Have act three put a product first; empty takes that back; for callbacks only."""
    state.noted(_VISIT).pinned = product_id
