"""The draft of whoever edits, and the rule in the form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app import notices
from app.components.rules import draft_bar, form, state
from app.services import rules
from backend.errors import RetrievalError

if TYPE_CHECKING:
    from backend.retrieval.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Shown:
    """The rules on the page, None where they cannot be read, and the ids of those that are new or different in the draft."""

    rules: tuple[Rule, ...] | None = None
    drafted: frozenset[str] = frozenset()


def show(catalogue: str, editor: str) -> Shown:
    """Show the draft and the form; returns the rules as the editor sees them, the published ones without a name.

    Raises:
        CatalogueError: The rules are damaged.
    """
    if not editor:
        return Shown(rules.published(catalogue).rules)
    try:
        mine = rules.draft(catalogue, editor)
    except RetrievalError as error:
        notices.show(error)
        draft_bar.show_discard(catalogue, editor)
        return Shown(rules.published(catalogue).rules)
    draft_bar.show(catalogue, mine)
    found = rules.rules_of(catalogue, mine)
    asked = state.asked_rule()
    if asked:
        state.edit(next((rule for rule in found if rule.id == asked), None))
    edited = state.form()
    if edited is not None:
        form.show(catalogue, editor, edited)
    else:
        st.button("New rule", icon=":material/add:", type="primary", on_click=state.edit, args=(None,))
    return Shown(found, frozenset(rule.id for rule in mine.put))
