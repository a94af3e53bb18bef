"""What is noted of a collection, or of one product of it, in a dialog: it changes what was there when it was opened.

Where another person changed the same meanwhile, the second is told who, and what was typed stays in the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, notices
from app import state as session
from app.components.collections import state
from app.components.rules import state as rule_state
from app.services.shop import collections
from app.words import plain
from backend.errors import ChangedMeanwhile
from backend.merchandising.collections.collection import MAX_NAME, MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.merchandising.collections.collection import Collection
    from backend.merchandising.collections.store import CollectionSet

    Change = Callable[[Collection], Collection]


def show(catalogue: str, collection_id: str) -> None:
    """Open the dialog, if its button was pressed."""
    version, product_id = state.edited()
    if not version:
        return
    seen = collections.found(catalogue, version)
    one = seen.get(collection_id)
    if product_id in one.products:
        _of_product(catalogue, seen, one, product_id)
    elif not product_id:
        _of_all(catalogue, seen, one)


@st.dialog("Comment or move", on_dismiss=state.forget_edited)
def _of_product(catalogue: str, seen: CollectionSet, one: Collection, product_id: str) -> None:
    st.markdown(f"**{plain(product_id)}**")
    text = st.text_area("Comment", value=one.comment_of.get(product_id, ""), key="comment_text", max_chars=MAX_TEXT)
    was = one.products.index(product_id) + 1
    place = int(st.number_input("Place", 1, len(one.products), value=was, key="comment_place", width=160))

    def change(old: Collection) -> Collection:
        changed = old.added([product_id]).commented(product_id, text)
        return changed if place == was else changed.moved(product_id, place)

    note = f"Moved {product_id} to place {place}" if place != was else f"Comment on {product_id}"
    _save(catalogue, seen, one, change, note)
    if state.conflict() is not None:
        theirs = collections.found(catalogue).get(one.id).comment_of.get(product_id, "")
        st.markdown(f"Their comment: {plain(theirs) if theirs else 'none'}")
    navigation.link("recommend", "Find similar to it", {session.PRODUCT: product_id})


@st.dialog("Name and note", on_dismiss=state.forget_edited)
def _of_all(catalogue: str, seen: CollectionSet, one: Collection) -> None:
    name = st.text_input("Name", value=one.name, key="comment_name", max_chars=MAX_NAME)
    text = st.text_area("Note", value=one.note, key="comment_text", max_chars=MAX_TEXT)
    _save(
        catalogue,
        seen,
        one,
        lambda old: old.edited(name=" ".join(name.split()), note=text.strip()),
        "Name or note changed",
    )


def _save(catalogue: str, seen: CollectionSet, one: Collection, change: Change, note: str) -> None:
    """Show the button that keeps what was typed; whoever was told of another's change can still have theirs."""
    with notices.guarded():
        was_told = state.conflict() is not None
        if _offer(is_second=was_told):
            base = collections.found(catalogue) if was_told else seen
            mine = change(base.get(one.id))
            try:
                collections.store(catalogue).put(mine, base=base.version, by=rule_state.person(), note=note)
            except ChangedMeanwhile as error:
                state.tell(error)
            else:
                state.forget_edited()
                st.rerun()
        if (told := state.conflict()) is not None:
            notices.show(told)
            if not was_told:
                _offer(is_second=True)


def _offer(*, is_second: bool) -> bool:
    if is_second:
        return st.button("Replace it with mine", key="comment_mine")
    return st.button("Save", type="primary", key="comment_save")
