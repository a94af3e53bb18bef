"""The saved lists: exported, selected again, or, as an unseen class, kept out of training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import identity, navigation, words
from app.components.explore import selection
from app.components.shared import charts, download
from app.services import explore, export
from backend.access.person import Role

if TYPE_CHECKING:
    from backend.projection.lists import SavedList


def show() -> None:
    """Show all lists, and what can be done with the chosen one."""
    found = explore.saved_lists()
    if not found:
        st.info(
            "No list is saved yet. Select products on the map with the lasso, and save them.",
            icon=":material/bookmarks:",
        )
        return
    charts.table([_row(one) for one in found], key="explore_lists")
    by_name = {one.name: one for one in found}
    chosen = by_name[st.selectbox("List", list(by_name), key="explore_list", width=320)]
    _actions(chosen)
    if chosen.kind == "unseen":
        _keep_out(chosen)
    elif chosen.kind == "suspects":
        st.caption(
            "Correct the column label in the exported CSV and load it on the Catalogue page: products are merged by "
            "their id."
        )
        navigation.link("catalogue", "To the catalogue")


def _row(found: SavedList) -> dict[str, object]:
    return {
        "List": found.name,
        "For": selection.KINDS[found.kind],
        "Products": len(found.products),
        "Labels": ", ".join(found.labels[:6]),
        "Catalogue": f"{found.catalogue}, version {found.catalogue_version}",
        "Saved": words.local_iso(found.created_at) if found.created_at else None,
    }


def _actions(found: SavedList) -> None:
    with st.container(horizontal=True):
        st.button(
            "Select on the map",
            icon=":material/select_all:",
            key="explore_list_select",
            on_click=selection.select,
            args=([product.product_id for product in found.products],),
        )
        for title, data, mime in (("CSV", found.to_csv, "text/csv"), ("JSON", found.to_json, "application/json")):
            make = partial(export.of_list, found, data)
            download.show(title, make, f"{found.name}.{title.lower()}", mime, key=f"explore_list_{title}")
        st.button(
            "Delete",
            icon=":material/delete:",
            key="explore_list_delete",
            on_click=explore.delete_list,
            args=(found.name,),
            **identity.only_for(Role.MERCHANDISER),
        )


def _keep_out(found: SavedList) -> None:
    """Whole labels are kept out of training; say so before it is done."""
    labels = ", ".join(found.labels)
    if not found.labels:
        st.info(
            "These products have no label, so they are already excluded from training.", icon=":material/label_off:"
        )
        return
    st.caption(
        f"Training can only exclude whole labels. This redraws the splits of {words.plain(found.catalogue)} as a new "
        f"version and excludes all products of these labels: {words.plain(labels)}. Models trained afterwards are "
        "evaluated on them."
    )
    st.button(
        f"Exclude {words.count(len(found.labels), 'label')} from training",
        icon=":material/visibility_off:",
        key="explore_keep_out",
        on_click=selection.submit_unseen,
        args=(found.catalogue, found.labels),
    )
