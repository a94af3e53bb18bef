"""What became of a product: what changed about it in which version of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.catalogue.changes import KIND_TITLES, lines_of
from app.components.shared import product_grid
from app.components.shared.product_grid import Card
from app.services import common
from app.words import plain
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from backend.catalogue.upkeep.product_history import Happened, ProductHistory


def show(catalogue: str, product_id: str, found: ProductHistory) -> None:
    """Show the versions that changed a product, newest first."""
    for one in found.happened:
        entry, kind = one.entry, KIND_TITLES[one.change.kind]
        if one.change.kind == "new":
            kind = "First seen" if not one.before and found.oldest > 1 else "Added"
        when = f"Version {entry.version} · {words.moment(entry.committed_at)}"
        with st.container(gap="xxsmall"):
            st.markdown(f"**{plain(kind)}** · {plain(when)}")
            for line in lines_of(one.change):
                st.markdown(plain(line))
        if "image" in one.change.changed_columns:
            _pictures(catalogue, product_id, one)
    if found.oldest > 1:
        st.caption(f"Versions before {found.oldest} are not shown: their files were removed, or they are too many.")


def _pictures(catalogue: str, product_id: str, one: Happened) -> None:
    """Show the picture before and after, small."""
    try:
        versions = (one.before, one.entry.version)
        pair = tuple((f"Version {at}", common.product(catalogue, at, product_id).image) for at in versions)
    except CatalogueError:
        return  # a vacuum has removed the older one since then; that the picture changed is said above
    product_grid.show([Card(product_id, None, "New picture", pair=pair)], key=f"product_change_{one.entry.version}")
