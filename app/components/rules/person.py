"""Who edits: the name under which a draft is kept and published."""

from __future__ import annotations

import streamlit as st

from app import identity
from app.components.rules import state
from backend.retrieval.rules.rule import MAX_TEXT


def ask() -> str:
    """Ask for a name, filled in with the one given before in this session, unless users sign in; returns it, or nothing."""
    if identity.is_signing_in():
        return state.person()
    st.text_input(
        "Your name",
        value=state.person(),
        key=state.PERSON,
        max_chars=min(MAX_TEXT, 80),
        on_change=state.name_person,
        placeholder="Ada",
        help="Your draft is kept under this name, and the history shows it.",
        width=240,
    )
    return state.person()
