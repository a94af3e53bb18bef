"""All collections of a catalogue as cards, a new one, and those that were removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app import state as session
from app.components.collections import state
from app.components.rules import state as rule_state
from app.components.shared import product_grid
from app.services.shop import collections
from app.words import plain
from backend.merchandising.collections.collection import MAX_NAME, begun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.merchandising.collections.collection import Collection
    from backend.merchandising.collections.store import CollectionSet

_NAME, _FILE = "collection_name", "collection_file"


def show(catalogue: str, editor: str, seen: CollectionSet) -> None:
    """Show what there is; a click opens it."""
    with st.popover("New collection", icon=":material/add:", disabled=not editor):
        st.text_input("Name", key=_NAME, max_chars=MAX_NAME, placeholder="Summer window")
        st.file_uploader(
            "From a table (optional)",
            type=["csv", "tsv"],
            key=_FILE,
            max_upload_size=20,
            help="CSV with the column product_id and, optionally, comment. The rows keep their order.",
        )
        st.button("Create", type="primary", key="collection_create", on_click=_create, args=(catalogue, seen))
    if not seen.collections:
        st.info(
            "There is no collection yet. Create one here, or press *Add to collection* below a product on Find similar "
            "or on the Catalogue page.",
            icon=":material/collections_bookmark:",
        )
    else:
        _cards(catalogue, seen)
    _show_removed(catalogue, editor)


def _cards(catalogue: str, seen: CollectionSet) -> None:
    firsts = {one.id: _first(catalogue, one) for one in seen.collections}
    pictures = collections.products(catalogue, [name for name in firsts.values() if name])
    ordered = sorted(seen.collections, key=lambda one: one.name.casefold())
    cards = [
        product_grid.Card(
            id=one.id,
            image=pictures[firsts[one.id]].image if firsts[one.id] in pictures else None,
            title=one.name,
            lines=(" · ".join(filter(None, (words.count(len(one.products), "product"), one.owner))),),
            badges=("Approved",) if one.is_approved else (),
        )
        for one in ordered
    ]
    product_grid.show(cards, key="collections", action="Open", on_pick=state.open_one)


def _first(catalogue: str, one: Collection) -> str:
    return next(iter(collections.as_question(catalogue, one)), "")


def _create(catalogue: str, seen: CollectionSet) -> None:
    with notices.guarded():
        file = session.chosen(_FILE)
        rows: Mapping[str, str] = collections.read_csv(file.name, file.getvalue()) if file is not None else {}
        one = begun(str(session.chosen(_NAME) or ""), rule_state.person(), rows, rows)
        note = f"From {file.name}" if file is not None else "Created"
        if state.keep(catalogue, seen, one, note):
            st.session_state.pop(_NAME, None)
            state.open_one(one.id)


def _show_removed(catalogue: str, editor: str) -> None:
    lost = collections.removed(catalogue)
    if not lost:
        return
    with st.expander(f"Removed collections ({len(lost)})", icon=":material/delete:"):
        for name, (called, version) in lost.items():
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(plain(called), width="content")
                st.button(
                    "Bring back",
                    key=f"back-{name}",
                    icon=":material/undo:",
                    disabled=not editor,
                    on_click=bring_back,
                    args=(catalogue, name, version),
                )


def bring_back(catalogue: str, collection_id: str, version: int) -> None:
    """Have a collection be as it was at a version."""
    with notices.guarded():
        collections.store(catalogue).bring_back(collection_id, version, by=rule_state.person())
