"""What a collection is used as: a filter, a question, pins, and files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, notices, words
from app.components.collections import state
from app.components.rules import scope as scope_field
from app.components.rules import state as rule_state
from app.components.shared import download, product_grid
from app.services.shop import collections
from app.state import FILTER
from app.words import plain
from backend.retrieval.filters import COLLECTION

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.merchandising.collections.collection import Collection
    from backend.merchandising.collections.store import CollectionSet

_K = 24
_FILES: dict[str, tuple[Callable[[str, Collection], bytes], str, str, str]] = {
    "Sheet to print": (
        collections.sheet_of,
        "html",
        "text/html",
        "Open it in a browser and print it, to paper or as PDF.",
    ),
    "Table (CSV)": (collections.csv_of, "csv", "text/csv", "For a spreadsheet; can be imported again."),
    "Table with pictures (zip)": (collections.zip_of, "zip", "application/zip", "Can be loaded as a catalogue."),
}


def show(catalogue: str, editor: str, seen: CollectionSet, one: Collection) -> None:
    """Show the ways; what is similar to all of it is shown below."""
    answers = collections.answers(catalogue)
    with st.container(horizontal=True, vertical_alignment="center"):
        is_asked = st.toggle(
            "Similar products",
            key="collection_similar",
            disabled=not answers or not one.products,
            help="Products similar to this collection as a whole."
            if answers
            else "Search is not set up for this catalogue.",
        )
        with st.popover("Pin", icon=":material/keep:", disabled=not editor or not one.products):
            _pins(catalogue, editor, one)
        with st.popover("Export", icon=":material/download:"):
            _files(catalogue, one)
        if answers and one.products:
            navigation.link("recommend", "Search within it", {f"{FILTER}{COLLECTION}": one.name})
    if is_asked and answers and one.products:
        with st.container(border=True), notices.guarded():
            _similar(catalogue, editor, seen, one)


def _files(catalogue: str, one: Collection) -> None:
    for title, (make, suffix, mime, about) in _FILES.items():
        made = partial(make, catalogue, one)
        download.show(title, made, f"{one.id}.{suffix}", mime, key=f"collection_{suffix}", about=about)


def _pins(catalogue: str, editor: str, one: Collection) -> None:
    st.caption("Pins the products at the first places, in this order. The pins go into your draft of rules.")
    with notices.guarded():
        scope = scope_field.ask(catalogue, f"pin-{one.id}", None)
        if st.button("Add to my draft", type="primary", key="collection_pin", disabled=scope is None) and scope:
            pinned, left_out = collections.pin(catalogue, editor, one, scope)
            more = f" {words.count(left_out, 'product')} left out: gone, or behind the last place." if left_out else ""
            rule_state.say(f"{words.count(pinned, 'pin')} in your draft.{more}")
            st.rerun()
        navigation.link("rules", "Publish on Rules")


def _similar(catalogue: str, editor: str, seen: CollectionSet, one: Collection) -> None:
    ids = collections.as_question(catalogue, one)
    with st.spinner("Looking for similar products"):
        answer = collections.similar(ids, _K)
    rest = len(one.products) - len(ids)
    left_out = f" {words.count(rest, 'product')} of the collection left out." if rest else ""
    st.caption(plain(f"Similar to {words.count(len(ids), 'product')} together.{left_out}"))
    found = [each for each in answer.neighbours if each.product_id not in one.products]

    def add(name: str) -> None:
        state.keep(catalogue, seen, one.added([name]), f"Added {name}")

    product_grid.show(
        [product_grid.neighbour_card(each) for each in found],
        key="collection_like",
        small={"Add": add} if editor else None,
    )
