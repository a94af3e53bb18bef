"""The photo asked about, with a box over it that says which part of it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.components.search import state
from app.components.shared import product_grid
from app.components.shared.scripted import scripted
from backend.errors import ImageRejected
from backend.imaging import pixels

if TYPE_CHECKING:
    from backend.imaging.region import Region

_KEY = "query_photo"
_SIDE = 800  # pixels of what is shown: sharp on a phone, and a box can be drawn by it
_FIELDS = "".join(
    f'<label>{name}<span><input type="number" min="0" max="100" step="1" inputmode="numeric" name="{name.lower()}">%'
    "</span></label>"
    for name in ("Left", "Top", "Right", "Bottom")
)
_HANDLES = "".join(f'<i data-edges="{edges}"></i>' for edges in ("lt", "t", "rt", "r", "rb", "b", "lb", "l"))
_HTML = f"""
<div class="query-photo">
  <div class="stage"><img alt="Your picture" draggable="false">
    <div class="box" tabindex="0" role="group" aria-label="Part of the photo" aria-describedby="how" hidden>{_HANDLES}</div>
  </div>
  <div class="caption">Your picture</div>
  <div class="tools">
    <button type="button" class="part">Choose a part</button>
    <button type="button" class="whole" hidden>Whole photo</button>
  </div>
  <div class="how" id="how" hidden>Drag the box or its edges.<span> Arrow keys move it, Shift and arrow keys resize it,
    Escape returns to the whole photo.</span></div>
  <details hidden><summary>Edges in numbers</summary><div class="fields">{_FIELDS}</div></details>
</div>
"""


def show(image: bytes, region: Region | None) -> None:
    """Show a photo and let the user choose the part of it that counts; what is chosen becomes part of the page's link."""
    data = {"src": _source(image), "region": list(region.edges) if region else None}
    scripted("query_photo", _HTML)(key=_KEY, data=data, on_region_change=_chosen)


def _chosen() -> None:
    edges = state.sent(_KEY)
    if edges is not None:
        state.choose(edges)


def _source(image: bytes) -> str:
    """Return a photo as a data URI; empty where it cannot be read, which the answer then says."""
    try:
        return product_grid.data_uri(_shown(image), as_it_is=True)
    except ImageRejected:
        return ""


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def _shown(image: bytes) -> bytes:
    return pixels.thumbnail(image, side=_SIDE)
