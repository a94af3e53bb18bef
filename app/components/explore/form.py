"""How a map is drawn: the form, and what a drawn map is worth in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import identity, words
from backend.flow.requests import ProjectRequest
from backend.flow.roles import role_for
from backend.projection.options import ENGINES, RANGES, Engine, ProjectionOptions
from backend.projection.worth import TOO_FEW

if TYPE_CHECKING:
    from backend.bundles.bundle import Manifest
    from backend.projection.maps import MapInfo
    from backend.projection.worth import Worth

GOOD, FAIR = 0.95, 0.85
# By engine: its name, and what it costs.
ENGINE_NAMES: dict[Engine, str] = {"twinset": "Twinset", "umap-learn": "umap-learn"}
ENGINE_COSTS: dict[Engine, str] = {
    "twinset": "UMAP on all cores. The faster one, with trustworthiness within 1 % of umap-learn.",
    "umap-learn": "The reference implementation of UMAP, on one core. Takes 1.2 to 2.4 times as long.",
}


def show(model: Manifest, known: MapInfo | None) -> ProjectRequest | None:
    """Show the form and return what was asked for, once it is."""
    usual = known.options if known else ProjectionOptions()
    size = model.index.size if model.index else 0
    with st.expander("Draw a map", expanded=known is None, icon=":material/scatter_plot:"):
        with st.form("project", border=False):
            left, middle, right = st.columns(3, vertical_alignment="bottom")
            low, high = (int(value) for value in RANGES["neighbours"])
            neighbours = left.slider(
                "Neighbours",
                low,
                max(min(high, size - 1), low + 1),
                min(usual.neighbours, max(size - 1, low)),
                key="project_neighbours",
                help="Nearest neighbours per product. Low values show detail, high values the overall structure.",
            )
            distance = middle.slider(
                "Minimum distance",
                0.0,
                0.99,
                usual.min_distance,
                0.01,
                key="project_distance",
                help="0 packs similar products together, 0.99 spreads them out.",
            )
            supervised = right.toggle(
                "Use the labels",
                usual.supervised,
                key="project_supervised",
                help="Groups products by label. The map is tidier, but no longer shows only what the model sees.",
            )
            engine = _engine(usual.engine)
            lacks = identity.lacking(role_for("project"))
            asked = st.form_submit_button(
                "Draw", type="primary", disabled=bool(lacks), help=lacks, icon=":material/draw:"
            )
        st.caption(
            "The same settings always give the same map; a map drawn before opens at once. "
            f"{words.count(size, 'product')} will be drawn in 2-D and 3-D."
        )
    return ProjectRequest(model.name, neighbours, distance, supervised, usual.seed, engine) if asked else None


def _engine(usual: Engine) -> Engine:
    chosen: Engine = st.radio(
        "Engine",
        ENGINES,
        ENGINES.index(usual),
        format_func=ENGINE_NAMES.__getitem__,
        captions=[ENGINE_COSTS[name] for name in ENGINES],
        horizontal=True,
        key="project_engine",
        help="Both run UMAP on the same neighbours from the same starting layout, so their maps can be compared.",
    )
    return chosen


def show_worth(info: MapInfo, dimensions: int) -> None:
    """Say how far a map can be trusted."""
    worth = info.worth[str(dimensions)]
    icon = "info" if worth.trustworthiness is None else "verified"
    st.caption(f":material/{icon}: {words.plain(worth_sentence(info, worth))}")


def worth_sentence(info: MapInfo, worth: Worth) -> str:
    """Say what the figures of a map mean."""
    parts = [TOO_FEW if worth.trustworthiness is None else _trust(worth.trustworthiness)]
    if worth.accuracy is not None and worth.full_accuracy is not None:
        some = "" if worth.voted in {None, worth.asked} else " whose label has more than ten products"
        parts.append(
            f"Ten neighbours on the map give the right label for {words.percent(worth.accuracy, digits=1)} of the "
            f"products{some}; ten neighbours in the index, for {words.percent(worth.full_accuracy, digits=1)}."
        )
    if info.options.supervised:
        parts.append("The labels were used to draw it, so classes look further apart than they are.")
    if worth.asked < info.size:
        parts.append(f"Measured on an even sample of {words.count(worth.asked)} products.")
    if info.options.engine != ENGINES[0]:
        parts.append(f"Drawn with {ENGINE_NAMES[info.options.engine]}.")
    parts.append("Distances between clusters and their sizes mean little.")
    return " ".join(parts)


def _trust(trust: float) -> str:
    meaning = (
        "products that are close together here are nearly always similar for the model too"
        if trust >= GOOD
        else "most products that are close together here are similar for the model, but not all"
        if trust >= FAIR
        else "products that are close together here are often not similar for the model: trust the neighbours, not the map"
    )
    return f"Trustworthiness {trust:.3f}: {meaning}."
