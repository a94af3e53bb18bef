"""A rule in words, as a link to where it is edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation
from app.components.rules import state
from app.words import plain
from backend.merchandising.wording import said

if TYPE_CHECKING:
    from backend.retrieval.rules.rule import Rule


def show(catalogue: str, rule: Rule, *notes: str) -> None:
    """Show what a rule does as a link to edit it; below it notes on it, its reason and its owner."""
    text = said(rule)
    navigation.link("rules", f"{text[:1].upper()}{text[1:]}", {state.RULE: rule.id, "catalogue": catalogue})
    if about := " · ".join(one for one in (*notes, rule.reason, rule.owner) if one):
        st.caption(plain(about))
