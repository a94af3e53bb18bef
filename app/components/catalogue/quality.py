"""How good the pictures of a catalogue are: what is measured of them, what is odd, and filters by both."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app import state, words
from app.components.catalogue import browser, duplicates, quality_charts
from app.components.jobs import panel
from app.components.shared import charts, product_grid
from app.services import quality
from backend.catalogue.quality.view import MEASURES
from backend.flow.requests import QualityRequest

if TYPE_CHECKING:
    from app.components.shared.product_grid import Card
    from backend.catalogue.items import CatalogueSummary, Product
    from backend.catalogue.quality.view import Flag, Measure, QualityTable

PAGE_SIZE = 24
STEPS = 100  # of a slider, from end to end
PICTURES, REPEATS = "Pictures", "Duplicates"
MEASURE_TITLES: dict[Measure, str] = {
    "brightness": "Brightness",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "entropy": "Detail",
    "aspect": "Shape",
    "megapixels": "Size",
}
MEASURE_HELP: dict[Measure, str] = {
    "brightness": "0 is black, 1 is white. Products on a white background are bright overall, which is fine.",
    "contrast": "The difference between light and dark areas. Near 0, a picture is a uniform grey.",
    "sharpness": "How crisp the edges are. Blurred photos are at the left.",
    "entropy": "How much detail a picture has, in bits per pixel (entropy). Near 0, it shows almost nothing.",
    "aspect": "The longer side divided by the shorter one: 1 is a square.",
    "megapixels": "Width times height, in millions of pixels.",
}
FLAG_TITLES: dict[Flag, str] = {
    "blurred": "Blurred",
    "dark": "Dark",
    "bright": "Too bright",
    "low_information": "Almost nothing visible",
    "odd_aspect": "Unusual shape",
    "odd_size": "Unusual size",
}


def show(summary: CatalogueSummary, *, is_newest: bool) -> None:
    """Show the quality of a catalogue version's pictures."""
    measured = quality.measured_version(summary.name)
    table = quality.quality(summary.name, summary.version, measured)
    _measure(summary, table, is_newest=is_newest)
    view = st.segmented_control(
        "View",
        [PICTURES, REPEATS],
        default=PICTURES,
        required=True,
        key="quality_view",
        label_visibility="collapsed",
    )
    if view == REPEATS:
        duplicates.show(summary, measured, is_newest=is_newest)
    else:
        _pictures(summary, table, measured)


def _measure(summary: CatalogueSummary, table: QualityTable, *, is_newest: bool) -> None:
    """Say what is not measured yet, and offer to measure it."""
    if not table.missing:
        return
    what = (
        "The pictures of this version have not been measured yet."
        if not table.measured
        else f"{words.count(table.missing, 'picture is', 'pictures are')} not measured yet."
    )
    if not is_newest:
        st.info(f"{what} Pictures can only be measured in the newest version.", icon=":material/straighten:")
        return
    st.info(
        f"{what} Measure them to find pictures that are blurred, dark, empty or duplicated.",
        icon=":material/straighten:",
    )
    if st.button("Measure the pictures", type="primary", icon=":material/straighten:"):
        panel.submit(QualityRequest(catalogue=summary.name))
        st.rerun()


def _pictures(summary: CatalogueSummary, table: QualityTable, measured: int) -> None:
    """Show flags and measures, each of which filters the products below."""
    prefix = f"quality-{summary.name}-{summary.version}-{measured}"
    flags = _flags(table, prefix)
    ranges: dict[Measure, tuple[float, float]] = {}
    with st.grid(columns=3, min_column_width=150, gap="medium"):
        for measure in MEASURES:
            chosen = _range(table, measure, prefix)
            if chosen is not None:
                ranges[measure] = chosen
    page_key = f"{prefix}-page-{flags}-{sorted(ranges.items())}"
    offset = (state.page(page_key) - 1) * PAGE_SIZE
    found, total = quality.products(
        summary.name, summary.version, measured, ranges=ranges, flags=flags, offset=offset, limit=PAGE_SIZE
    )
    if not found:
        st.info("No product fits all of these ranges. Widen one of them.", icon=":material/search_off:")
        return
    st.caption(f"{words.count(total, 'product')}; click one to find similar products")
    browser.find_similar([_card(product, table) for product in found], key="quality_grid")
    st.pagination(math.ceil(total / PAGE_SIZE), key=page_key)


def _flags(table: QualityTable, prefix: str) -> tuple[Flag, ...]:
    counts = table.flag_counts()
    known = [flag for flag in FLAG_TITLES if counts[flag]]
    if not known:
        if table.measured:
            st.success("No picture looks unusual.", icon=":material/check:")
        return ()
    chosen: list[Flag] = st.pills(
        "Possible problems",
        known,
        selection_mode="multi",
        format_func=lambda flag: f"{FLAG_TITLES[flag]} · {counts[flag]:,}",
        key=f"{prefix}-flags",
        help="Choose one to see its products. You decide whether it is a problem.",
    )
    return tuple(chosen)


def _range(table: QualityTable, measure: Measure, prefix: str) -> tuple[float, float] | None:
    """Draw one measure and let the user choose a range of it; None while it is whole."""
    edges, counts = table.histogram(measure)
    low, high = float(edges[0]), float(edges[-1])
    if np.count_nonzero(counts) < 2:  # all are alike, or none is measured
        return None
    title, key = MEASURE_TITLES[measure], f"{prefix}-{measure}"
    with st.container(gap="xsmall"):
        st.markdown(f"**{title}**", help=MEASURE_HELP[measure])
        place = st.container()
        chosen = st.slider(
            f"Range of {title.lower()}",
            low,
            high,
            (low, high),
            step=(high - low) / STEPS,
            format="compact" if high >= 1000 else f"%.{_decimals(high - low)}f",
            key=key,
            label_visibility="collapsed",
        )
        with place:
            figure = quality_charts.histogram(edges.tolist(), counts.tolist(), chosen=chosen)
            charts.show(figure, key=f"{key}-chart", alt=f"Number of pictures by {title.lower()}")
    if chosen == (low, high):
        return None
    # An end that was not moved holds everything beyond it, however the slider rounds it.
    return (chosen[0] if chosen[0] > low else -math.inf, chosen[1] if chosen[1] < high else math.inf)


def _decimals(span: float) -> int:
    """Decimals that tell a hundredth of a span from the next."""
    return max(0, 2 - math.floor(math.log10(span)))


def _card(product: Product, table: QualityTable) -> Card:
    """Return the card of a product with what is odd about its picture."""
    row = int(np.searchsorted(table.product_ids, product.product_id))
    card = product_grid.product_card(product)
    odd = tuple(FLAG_TITLES[flag] for flag, found in table.flags().items() if found[row])
    return replace(card, badges=(*card.badges, *odd))
