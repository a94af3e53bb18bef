"""Two people at once: which version a form was made of, and what to do where another person saved a newer one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from app import state, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.files.edited import Edition


@dataclass(frozen=True, slots=True)
class Opened:
    """A form as this session has it.

    Attributes:
        base: Version that it was made of; 0 where there was none.
        drawn: How often it was filled anew: part of the keys of its widgets.
    """

    base: int
    drawn: int = 0


def opened(topic: str, found: Edition | None, key: Callable[[int], str]) -> Opened:
    """Return what a form was made of; the newest version where it was not on the screen a moment ago.

    Args:
        topic: What is edited, and where.
        found: The newest version.
        key: Gives the key of one of the form's widgets.
    """
    now = version_of(found)
    kept: Opened = state.noted(topic) or Opened(now)
    if key(kept.drawn) not in st.session_state:
        kept = Opened(now, kept.drawn)
    state.note(topic, kept)
    return kept


def saved(topic: str, version: int) -> None:
    """Note which version the form is now: the one that was saved from it."""
    state.note(topic, replace(state.noted(topic) or Opened(0), base=version))


def base_of(topic: str) -> int:
    """Return the version that a form was made of; 0 where there was none."""
    mine: Opened | None = state.noted(topic)
    return mine.base if mine else 0


def version_of(found: Edition | None) -> int:
    """Return the version of an edition; 0 where there is none."""
    return found.version if found else 0


def is_settled(topic: str, found: Edition | None, *, what: str, theirs: str = "") -> bool:
    """Where another person saved meanwhile, say so and ask what to do; returns whether there is nothing to ask.

    Args:
        topic: As for :func:`opened`.
        found: The newest version.
        what: What it is, as in ``Another person changed the space``.
        theirs: What they made of it, in a few words.
    """
    mine: Opened = state.noted(topic) or Opened(0)
    if found is None or found.version == mine.base:
        return True
    said = f"Another person changed {what}" if mine.base else f"There already is a version of {what}"
    st.warning(words.prose(f"{said} ({found.said}).{f' Now: {theirs}.' if theirs else ''}"), icon=":material/group:")
    with st.container(horizontal=True):
        if mine.base and st.button("Show theirs", key=f"{topic}_theirs", help="Your entries are dropped."):
            state.note(topic, Opened(found.version, mine.drawn + 1))
            st.rerun()
        if st.button(
            "Keep mine", key=f"{topic}_mine", help="Save then replaces theirs, which is kept as an earlier version."
        ):
            state.note(topic, replace(mine, base=found.version))
            st.rerun()
    return False
