"""Products put into a collection, from an answer, a selection or a search: into which one, or into a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app import state as session
from app.components.collections import state
from app.components.rules import person
from app.components.rules import state as rule_state
from app.services.shop import collections
from app.words import plain
from backend.merchandising.collections.collection import MAX_NAME, begun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backend.merchandising.collections.store import CollectionSet

ADD = "Add to collection"
SMALL: dict[str, Callable[[str], None]] = {ADD: state.collect_one}  # a small button below each card
_NEW = "New collection"


def offer(ids: Sequence[str], label: str, *, key: str) -> None:
    """Show a button that adds all of some products."""
    st.button(
        label, icon=":material/library_add:", key=key, on_click=state.collect, args=(tuple(ids),), disabled=not ids
    )


def show(catalogue: str) -> None:
    """Open the dialog for the products whose button was pressed, if one was."""
    ids = state.wanted()
    if ids:
        _dialog(catalogue, ids)
    rule_state.show_said()


@st.dialog(ADD, on_dismiss=state.forget_wanted)
def _dialog(catalogue: str, ids: Sequence[str]) -> None:
    what = ids[0] if len(ids) == 1 else words.count(len(ids), "product")
    st.markdown(f"**{plain(what)}**")
    editor = person.ask()
    with notices.guarded():
        seen = collections.found(catalogue)
        names = sorted(one.name for one in seen.collections)
        last = session.noted(state.LAST)
        options = [_NEW, *names]
        chosen = st.selectbox(
            "Collection",
            options,
            index=options.index(last) if last in options else min(1, len(names)),
            key="collect_into",
        )
        name = chosen
        if chosen == _NEW:
            name = st.text_input("Name", key="collect_name", max_chars=MAX_NAME, placeholder="Summer window")
        if st.button("Add", type="primary", key="collect_add", disabled=not editor or not name.strip()):
            _add(catalogue, seen, name.strip(), ids, is_new=chosen == _NEW)
            st.rerun()


def _add(catalogue: str, seen: CollectionSet, name: str, ids: Sequence[str], *, is_new: bool) -> None:
    """Add products and say how many; raises WorkbenchError where they cannot be added, and what was chosen stays."""
    by = rule_state.person()
    one = begun(name, by, ids) if is_new else seen.get(name)
    after = one if is_new else one.added(ids)
    note = f"Added {words.count(len(ids), 'product')}"
    collections.store(catalogue).put(after, base=seen.version, by=by, note=note)
    added = len(after.products) - (0 if is_new else len(one.products))
    before = f" {words.count(len(ids) - added, 'was', 'were')} already in it." if added < len(ids) else ""
    session.note(state.LAST, after.name)
    state.forget_wanted()
    rule_state.say(f"{words.count(added, 'product')} added to {after.name}.{before}")
