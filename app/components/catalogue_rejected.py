"""The rows of the source that could not be used: why, with their pictures, and how they are mended."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import catalogue_services, state, words
from app.components import product_grid
from app.components.product_grid import Card

if TYPE_CHECKING:
    from backend.catalogue.items import CatalogueSummary, Rejected

PAGE_SIZE = 24


def show(summary: CatalogueSummary) -> None:
    """Show the rejected rows of a catalogue version, by reason."""
    if not summary.quarantined:
        st.success("Every row of the source was taken in.", icon=":material/check:")
        return
    counts = catalogue_services.rejected_by_reason(summary.name, summary.version)
    code = st.pills(
        "Why",
        list(counts),
        format_func=lambda found: f"{words.reason(found)} · {counts[found]:,}",
        key=f"rejected-{summary.name}-{summary.version}",
    )
    total = counts[code] if code else summary.quarantined
    page_key = f"rejected-page-{summary.name}-{summary.version}-{code}"
    offset = (state.page(page_key) - 1) * PAGE_SIZE
    rows = catalogue_services.rejected(summary.name, summary.version, code=code, offset=offset, limit=PAGE_SIZE)
    product_grid.show(map(_card, rows), key="rejected_grid")
    st.pagination(math.ceil(total / PAGE_SIZE), key=page_key)
    _mend(summary)


def _mend(summary: CatalogueSummary) -> None:
    st.markdown("**Mend them**")
    st.markdown(
        "Download the rows with their pictures, put what is wrong right in `quarantine.csv` or in the folder "
        "`images`, zip both again, and load that zip into this catalogue. A row that can be used then leaves this list."
    )
    st.download_button(
        "Download all rejected rows",
        partial(catalogue_services.quarantine_zip, summary.name, summary.version),
        file_name=f"{summary.name}-rejected.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
    )


def _card(row: Rejected) -> Card:
    known = " · ".join(part for part in (row.label, row.source) if part)
    return Card(
        id=row.product_id or "",
        image=product_grid.shown(row.image),
        title=row.title or row.product_id or "No product id",
        lines=tuple(line for line in (row.sentence, row.product_id if row.title else "", known) if line),
    )
