"""Two models' maps side by side with one selection: where the same products are for the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import state, words
from app.components.explore import form, payload, selection, view
from app.components.explore import map as explore_map
from app.components.explore import state as explore_state
from app.services import common, explore

if TYPE_CHECKING:
    from app.services.explore import Drawn
    from backend.bundles.bundle import Manifest

COLUMN = "label"


def others(model: Manifest) -> list[Manifest]:
    """Other models of the same catalogue that have an index, newest first."""
    return [
        other
        for other in common.models()
        if other.name != model.name and other.index is not None and other.catalogue.name == model.catalogue.name
    ]


def show(model: Manifest) -> None:
    """Let another model be chosen and show both maps."""
    found = {other.name: other for other in others(model)}
    if not found:
        st.info(
            "There is no other model of this catalogue with an index yet. Train another one and build its index.",
            icon=":material/compare_arrows:",
        )
        return
    state.start_with("other", next(iter(found)), list(found))
    name = st.selectbox("Compare with", list(found), key="other", bind="query-params")
    st.fragment(_both)(model, found[name])


def _both(model: Manifest, other: Manifest) -> None:
    st.caption("Both maps share the selection; click a product to see its neighbours on both.")
    sides = st.columns(2)
    shown = []
    for side, one in zip(sides, (model, other), strict=True):
        with side:
            info = explore.newest_map(one)
            st.markdown(f"**{words.plain(one.name)}**")
            drawn = explore.drawn(one, first_look=info is None, dimensions=2)
            _draw(drawn, one)
            if info is None:
                st.caption("No map of this model has been drawn yet; this is its first look.")
            else:
                st.caption(words.plain(form.worth_sentence(info, info.worth["2"])))
            shown.append(drawn)
    selection.show(shown[0])


def _draw(found: Drawn, model: Manifest) -> None:
    points, arranged = found.points, found.arranged
    column = points.columns.get(COLUMN) or next(iter(points.columns.values()))
    packed = payload.payload(found.name, arranged.positions, points.splits, arranged.is_placed, column)
    above = explore_map.Above()
    for at in view.position_of(found, explore_state.point()):
        above.ring(at)
    view.show_drawn(packed, found, key=f"compare-{model.name}", camera="", above=above, moved=lambda _camera: None)
