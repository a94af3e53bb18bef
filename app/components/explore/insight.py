"""What embeddings tell beside the map: outliers, overlaps of labels, hubs, and near duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, state, words
from app.components.explore import charts as explore_charts
from app.components.explore import state as explore_state
from app.components.shared import charts, product_grid
from app.components.shared.product_grid import Card
from app.services import evaluation, explore
from backend.bundles import bundle
from backend.projection.insight import DUPLICATE_DISTANCE, HUB_NEIGHBOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.bundles.bundle import Manifest
    from backend.projection.columns import Points
    from backend.projection.reading import Reading

SHOWN = 24
GROUPS_SHOWN = 8
CROWDED = 1.5


def show_outliers(model: Manifest) -> None:
    """Show the products far from the centre of their label."""
    st.caption(
        "Products unusually far from the centroid of their label: unusual ones, or mislabelled. The figure is how "
        "many median absolute deviations they are beyond the median."
    )
    found = explore.outliers(model.name, _hash(model))
    if not found:
        st.info("No product has a label, so there are no centroids to measure from.", icon=":material/label_off:")
        return
    reading, points = explore.opened(model, "")
    page = found[:SHOWN]
    notes = [(f"{one.strength:.1f} deviations away", f"distance {one.distance:.3f}") for one in page]
    _grid(reading, points, [one.position for one in page], notes, key="explore_outliers")


def show_overlap(model: Manifest) -> None:
    """Show whose neighbours the products of every label are, and how far the labels' centres are apart."""
    found = explore.overlap(model.name, _hash(model), _map_key(model))
    if len(found.labels) < 2:
        st.info("There are fewer than two labels to compare.", icon=":material/label_off:")
        return
    st.caption(
        f"Each row is a label; each cell is the share of its products' {HUB_NEIGHBOURS} nearest neighbours that have "
        "the column's label. Values off the diagonal show what the model confuses."
    )
    charts.show(explore_charts.overlap(found), key="explore_overlap", alt="Share of neighbours by label and label")
    st.caption("Cosine distance between the centroids of the labels; the smaller, the more similar.")
    charts.show(explore_charts.distances(found), key="explore_distances", alt="Distance between label centroids")


def show_hubs(model: Manifest) -> None:
    """Show the products that are recommended too often, and those that never are."""
    found = explore.hubs(model.name, _hash(model), _map_key(model))
    reading, points = explore.opened(model, "")
    st.markdown(words.plain(hubs_sentence(found.k, found.never, len(points.ids), found.skewness)))
    charts.show(explore_charts.occurrences(found), key="explore_hubs", alt="How often products are recommended")
    most = found.most(SHOWN // 2)
    st.markdown("**Recommended most often**")
    notes = [(f"in {int(found.occurrences[at])} lists",) for at in most]
    _grid(reading, points, most, notes, key="explore_hubs_most")
    never = found.forgotten(SHOWN // 2)
    if never:
        st.markdown("**Never recommended**")
        _grid(reading, points, never, [()] * len(never), key="explore_hubs_never")


def hubs_sentence(k: int, never: int, size: int, skewness: float) -> str:
    """Say how evenly products are recommended."""
    even = (
        "a few products crowd out the others"
        if skewness >= CROWDED
        else "recommendations are spread fairly evenly over the products"
    )
    return (
        f"{words.count(never)} of {words.count(size, 'product')} ({words.percent(never / max(size, 1), digits=1)}) never "
        f"appear among another product's {k} nearest: {even} (skewness {skewness:.2f})."
    )


def show_duplicates(model: Manifest) -> None:
    """Show groups of products with nearly the same embedding."""
    distance = st.slider(
        "Maximum cosine distance", 0.0, 0.02, DUPLICATE_DISTANCE, 0.0005, format="%.4f", key="explore_distance"
    )
    groups = explore.near_duplicates(model.name, _hash(model), _map_key(model), distance)
    if not groups:
        st.info("No two products are that close. A larger distance finds more.", icon=":material/check:")
        return
    st.caption(
        f"{words.count(len(groups), 'group')}, largest first; the model barely distinguishes the products within each."
    )
    reading, points = explore.opened(model, "")
    shown = [(number, at) for number, group in enumerate(groups[:GROUPS_SHOWN], 1) for at in group[:6]]
    sizes = {number: len(group) for number, group in enumerate(groups, 1)}
    headings = [f"Group {number} · {words.count(sizes[number], 'product')}" for number, _ in shown]
    _grid(reading, points, [at for _, at in shown], [()] * len(shown), key="explore_duplicates", headings=headings)


def _grid(
    reading: Reading,
    points: Points,
    places: Sequence[int],
    notes: Sequence[tuple[str, ...]],
    *,
    key: str,
    headings: Sequence[str] = (),
) -> None:
    names = [str(points.ids[at]) for at in places]
    pictures = evaluation.pictures(explore.catalogue_of(reading), tuple(names))
    cards = []
    for row, (at, name) in enumerate(zip(places, names, strict=True)):
        product = pictures.get(name)
        label = words.label(str(points.labels[at]))
        title = str(points.titles[at]) or label
        lines = (" · ".join(dict.fromkeys((label, name))), *notes[row])
        group = headings[row] if headings else ""
        cards.append(Card(name, product.image if product else None, title, lines, group=group))
    picked = product_grid.show(cards, key=key, action="Choose it")
    if picked:
        with st.container(horizontal=True):
            navigation.link(
                "explore", f"Show {picked} on the map", {"model": reading.model, explore_state.POINT: picked}
            )
            navigation.link("recommend", "Find similar", {state.PRODUCT: picked})


def _hash(model: Manifest) -> str:
    return model.files[bundle.VECTORS]


def _map_key(model: Manifest) -> str:
    """Return the key of the map whose neighbour graph is read; empty where none is drawn, and then it is said."""
    info = explore.newest_map(model)
    return info.key if info else ""
