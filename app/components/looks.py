"""First looks at sources for the Catalogue page: each in a process of its own, which ends when the user goes on.

The page asks again and again whether the look is done. Whenever it says so on the screen, Streamlit may end the page's
run, because another file was chosen or the window was closed; then the process is ended, too.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from backend.catalogue.fetch.layout import DATABASE
from backend.catalogue.sources.looking import LIMITS, Look, Looking, Question
from backend.errors import CatalogueError
from backend.files.limited import LimitExceeded

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

AT_ONCE = 2  # looks under way in the whole app; each may take what its limits allow
FRESH_S, REFUSED_S = 60.0, 900.0
KEPT = 8
SAID_AFTER_S = 3.0
_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all sessions share: turns, and what was seen or refused, by question and age of the file, and of what was fetched."""

    turns: threading.BoundedSemaphore
    seen: dict[tuple[Question, int, int], tuple[float, Look | CatalogueError]]


@st.cache_resource(show_spinner=False)
def _shared() -> _Shared:
    return _Shared(threading.BoundedSemaphore(AT_ONCE), {})


def look(question: Question) -> Look:
    """Look at a source, or return what was seen a moment ago; what took too much is not looked at again for a while.

    Raises:
        DatasetUnavailable: There is no such file.
        CatalogueError: It cannot be read, or takes more than a preview may take.
    """
    fetched = _changed_ns(f"{question.fetched}/{DATABASE}") if question.fetched else 0
    seen, key = _shared().seen, (question, _changed_ns(question.path), fetched)
    until, found = seen.get(key, (0.0, None))
    if found is None or time.monotonic() >= until:
        place = st.empty()
        found, fresh_s = _judged(question, place)
        place.empty()
        seen[key] = (time.monotonic() + fresh_s, found)
        for old in list(seen)[:-KEPT]:
            seen.pop(old, None)
    if isinstance(found, CatalogueError):
        raise found
    return found


def _changed_ns(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _judged(question: Question, place: DeltaGenerator) -> tuple[Look | CatalogueError, float]:
    """Return what was seen, or why nothing was, and for how long that holds."""
    try:
        return _taking_turns(question, place), FRESH_S
    except CatalogueError as error:
        return error, REFUSED_S if isinstance(error.__cause__, LimitExceeded) else 0.0


def _taking_turns(question: Question, place: DeltaGenerator) -> Look:
    turns = _shared().turns
    while not turns.acquire(timeout=_LOOK_EVERY_S):
        place.info("Other files are being read. Yours is next.", icon=":material/hourglass:")
    try:
        return _looked(question, place)
    finally:
        turns.release()


def _looked(question: Question, place: DeltaGenerator) -> Look:
    begun = time.monotonic()
    with Looking(question) as looking:
        while (found := looking.found(_LOOK_EVERY_S)) is None:
            place.info(_said(time.monotonic() - begun), icon=":material/hourglass:")
    return found


def _said(seconds: float) -> str:
    if seconds < SAID_AFTER_S:
        return "Reading the first products"
    return f"Reading the first products ({seconds:.0f} s so far). Large files take a while; reading stops after {LIMITS.wall_s:.0f} s. You can choose another file at any time."
