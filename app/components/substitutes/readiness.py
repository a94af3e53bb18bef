"""Readiness: how much of the range has a twin in stock, by category, and whose last twin sold out."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import words
from app.components.shared import charts, product_grid
from app.components.substitutes import wording
from app.services import substitutes

_LISTED = 24


def show(catalogue: str) -> None:
    """Show the figures that were measured last."""
    st.subheader("Readiness")
    found = substitutes.readiness(catalogue)
    if found is None:
        st.info(
            "Not measured yet. *Measure readiness* counts the products that have a similar one in stock, by category.",
            icon=":material/monitoring:",
        )
        return
    st.markdown(f"**{words.plain(wording.ready(found)[0])}**")
    _figures(found)
    when = f"Measured {words.moment(found['at'])} on version {found['version']} of {catalogue}."
    old = " The catalogue has changed since." if substitutes.is_old(catalogue, found) else ""
    st.caption(words.plain(when + old))
    if sentences := wording.left_out(found):
        st.caption(words.plain(" ".join(sentences)))
    _lost(catalogue, found)
    for column, shares in found["by"].items():
        if shares:
            with st.expander(f"By {words.plain(column)}", key=f"readiness_{column}", expanded=column == "category"):
                charts.table([_row(name, one) for name, one in shares.items()], key=f"readiness_by_{column}")


def _figures(found: dict[str, Any]) -> None:
    whole = found["whole"]
    with st.container(horizontal=True):
        st.metric("Products with a twin in stock", _share(whole), width="content")
        st.metric("Sold-out products with a twin", _share(found["sold_out"]), width="content")
        st.metric("Stock not stated", words.count(found["unknown"]), width="content")


def _share(one: dict[str, int]) -> str:
    return words.percent(one["with_twin"] / one["products"]) if one["products"] else "–"


def _row(name: str, one: dict[str, int]) -> dict[str, object]:
    return {
        "Name": name,
        "Products": one["products"],
        "With a twin in stock": one["with_twin"],
        "Share": _share(one),
    }


def _lost(catalogue: str, found: dict[str, Any]) -> None:
    lost, since = found["lost"], words.moment(found["since"])
    if not lost:
        st.caption(words.plain(f"No product lost its last twin in stock since {since}."))
        return
    title = f"{words.count(len(lost), 'product')} whose last twin sold out since {since}"
    with st.expander(words.plain(title), key="readiness_lost"):
        shown = substitutes.shown(catalogue, lost[:_LISTED])
        product_grid.show(map(product_grid.product_card, shown.values()), key="readiness_lost_grid")
        if len(lost) > _LISTED:
            st.caption(f"The first {_LISTED} of {len(lost):,} are shown.")
