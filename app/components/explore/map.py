"""The map as one custom element: points by WebGL, a picture for what the pointer rests on, lasso, click and camera.

Plotly's own Streamlit element would be sent every coordinate as a number and every product's text with it; this one is
sent integers, and asks for what it shows of a product when it shows it. Plotly.js comes from the Python package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.components.explore import payload
from app.components.shared.scripted import scripted
from app.state import sent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.components.explore.payload import Payload

HEIGHT = 560
TRUE_COLOUR, MAP_COLOUR = ("#0072B2", "#3DA5E8"), ("#D55E00", "#EE8866")  # on light, on dark
_HTML = (
    '<div class="twinset-map"><div class="note" hidden>This browser has no WebGL, which draws large maps; at most '
    '4,000 products are shown.</div><div class="plot"></div>'
    '<div class="card" hidden><img alt=""><div class="name"></div><div class="lines"></div></div></div>'
)
Place = int | list[float]


@dataclass(frozen=True, slots=True)
class Above:
    """What is drawn above the points.

    Attributes:
        lines: From a place to points: what they say is told by colour and dash.
        rings: Marks around a place.
        fly_to: Number of a point to fly to, and how often that was asked.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    rings: list[dict[str, Any]] = field(default_factory=list)
    fly_to: tuple[int, int] | None = None

    def link(self, start: Place, ends: Sequence[int], colour: tuple[str, str], dash: str = "solid") -> None:
        """Draw lines from a place to points."""
        self.lines.append({"from": start, "to": [int(end) for end in ends], "colour": list(colour), "dash": dash})

    def ring(self, at: Place, symbol: str = "circle-open") -> None:
        """Mark a place."""
        self.rings.append({"at": at, "symbol": symbol})


@dataclass(frozen=True, slots=True)
class Listeners:
    """What is called, before the page runs again, when the user clicks or selects points, or moves the map."""

    clicked: Callable[[int], None]
    selected: Callable[[list[int]], None]
    moved: Callable[[str], None]


def show(
    found: Payload, *, key: str, name: str, selected: Sequence[int], camera: str, above: Above, listeners: Listeners
) -> None:
    """Draw a map.

    Args:
        found: What is drawn.
        key: Name of the element, unique on the page.
        name: Of what is drawn, under which pictures of hovered points are handed over.
        selected: Numbers of the points that are selected.
        camera: What is in view at first; empty shows all.
        above: What is drawn above the points.
        listeners: Who hears of it.
    """
    data = as_data(found, name=name, selected=selected, camera=camera, above=above)
    # Plotly puts its styles into the page's head.
    scripted("explore_map", _HTML, isolate_styles=False)(
        key=key,
        data=data,
        on_clicked_change=_told(key, "clicked", listeners.clicked),
        on_selected_change=_told(key, "selected", listeners.selected),
        on_camera_change=_told(key, "camera", listeners.moved),
        on_hovered_change=lambda: None,  # read where the card is made
    )


def as_data(found: Payload, *, name: str, selected: Sequence[int], camera: str, above: Above) -> dict[str, Any]:
    """Return what the browser is sent."""
    return {
        "points": found.table,
        "plotly": plotly_address(),
        "version": found.version,
        "map": name,
        "low": list(found.low),
        "high": list(found.high),
        "column": found.column,
        "splits": payload.split_titles(),
        "selected": [int(at) for at in selected],
        "camera": camera,
        "lines": above.lines,
        "rings": above.rings,
        "fly": None if above.fly_to is None else {"at": above.fly_to[0], "turn": above.fly_to[1]},
        "height": HEIGHT,
    }


def hand_card(name: str, at: int, *, title: str, lines: Sequence[str], src: str) -> None:
    """Hand what is shown of a hovered point to the maps; it takes no room on the page."""
    data = {"map": name, "at": at, "title": title, "lines": list(lines), "src": src}
    scripted("explore_card", "<span></span>", has_style=False)(key="explore_card", data=data, height=1)


def plotly_address() -> str:
    """Return where the browser finds Plotly.js: Streamlit serves the folder of the Python package."""
    return f"component/{_plotly_folder().name}/plotly.min.js"


@cache
def _plotly_folder() -> Any:
    import plotly

    return st.components.v1.declare_component("twinset_plotly", path=str(Path(plotly.__file__).parent / "package_data"))


def _told(key: str, event: str, listener: Callable[[Any], None]) -> Callable[[], None]:
    def tell() -> None:
        value = sent(key, event)
        if value is not None:
            listener(value)

    return tell
