"""The rows of the source that could not be used: why, with their pictures, and how they are mended."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import state, words
from app.components.shared import download, product_grid
from app.components.shared.product_grid import Card
from app.services import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.catalogue.items import CatalogueSummary, Rejected

PAGE_SIZE = 24


def show(summary: CatalogueSummary) -> None:
    """Show the rejected rows of a catalogue version, by reason."""
    if not summary.quarantined:
        st.success("No rows were rejected.", icon=":material/check:")
        return
    name, version = summary.name, summary.version
    counts = catalogue.rejected_by_reason(name, version)
    show_rows(counts, partial(catalogue.rejected, name, version), key=f"{name}-{version}")
    mend(partial(catalogue.quarantine_zip, name, version), name, key="quarantine")


def show_rows(counts: dict[str, int], fetch: Callable[..., list[Rejected]], *, key: str) -> None:
    """Show rejected rows page by page.

    Args:
        counts: How many there are by the first word of their reason.
        fetch: Returns those of a ``code`` or of all from ``offset`` on, ``limit`` at most.
        key: Tells this list from others on the page.
    """
    code = st.pills(
        "Why",
        list(counts),
        format_func=lambda found: f"{words.plain(words.reason(found))} · {counts[found]:,}",
        key=f"rejected-{key}",
    )
    total = counts[code] if code else sum(counts.values())
    page_key = f"rejected-page-{key}-{code}"
    rows = fetch(code=code, offset=(state.page(page_key) - 1) * PAGE_SIZE, limit=PAGE_SIZE)
    product_grid.show(map(_card, rows), key=f"rejected_grid_{key}")
    st.pagination(math.ceil(total / PAGE_SIZE), key=page_key)


def mend(packed: Callable[[], bytes], name: str, *, key: str) -> None:
    """Offer the rejected rows of a catalogue or a load for download, and say how they are mended."""
    st.markdown("**Correct them**")
    st.markdown(
        "Download the rows with their pictures, correct `quarantine.csv` or the pictures in the folder `images`, zip "
        "both again, and load the zip into this catalogue. Corrected rows disappear from this list."
    )
    zipped = "application/zip"
    download.show("Download all rejected rows", packed, f"{name}-rejected.zip", zipped, key=f"rejected-download-{key}")


def _card(row: Rejected) -> Card:
    known = " · ".join(part for part in (row.label, row.source) if part)
    return Card(
        id=row.product_id or "",
        image=product_grid.shown(row.image),
        title=row.title or row.product_id or "No product id",
        lines=tuple(line for line in (row.sentence, row.product_id if row.title else "", known) if line),
    )
