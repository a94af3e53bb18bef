"""Pure figures of what is in a catalogue and how good its pictures are; colours and fonts come from the theme."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from app import words
from app.components.shared import charts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import plotly.graph_objects as go

FADED = 0.3  # how strong the bars outside the chosen range are
_FIGURE_HEIGHT = 110
_LABELS_DRAWN = 40


def label_bars(by_label: Mapping[str, int]) -> go.Figure:
    """Products of every label, one bar a label, the largest on top; of very many labels only the largest."""
    import plotly.graph_objects as go

    ordered = sorted(by_label.items(), key=lambda item: (item[1], item[0]))[-_LABELS_DRAWN:]
    figure = go.Figure()
    figure.add_bar(
        y=[words.label(name) for name, _ in ordered],
        x=[count for _, count in ordered],
        orientation="h",
        hovertemplate="%{y}: %{x:,}<extra></extra>",
    )
    more = f", the {_LABELS_DRAWN} largest of {len(by_label)}" if len(by_label) > _LABELS_DRAWN else ""
    charts.layout(figure, height=90 + 22 * len(ordered), title=f"Usable products by label{more}")
    figure.update_xaxes(tickformat=",d")
    return figure


def histogram(edges: Sequence[float], counts: Sequence[int], *, chosen: tuple[float, float]) -> go.Figure:
    """How many pictures have which value, bars outside the chosen range faded.

    Args:
        edges: Where the N bars begin and end; N + 1 numbers in ascending order.
        counts: Pictures in each bar.
        chosen: The range that is chosen, both ends included.
    """
    import plotly.graph_objects as go

    low, high = chosen
    middles = [(left + right) / 2 for left, right in pairwise(edges)]
    spans = [f"{left:.3g} to {right:.3g}" for left, right in pairwise(edges)]
    inside = [right > low and left < high for left, right in pairwise(edges)]
    figure = go.Figure()
    figure.add_bar(
        x=middles,
        y=list(counts),
        width=[right - left for left, right in pairwise(edges)],
        customdata=spans,
        marker={"opacity": [1.0 if is_in else FADED for is_in in inside]},
        hovertemplate="%{customdata}: %{y:,}<extra></extra>",
    )
    charts.layout(figure, height=_FIGURE_HEIGHT, title="")
    figure.update_layout(bargap=0.05, margin={"l": 4, "r": 4, "t": 4, "b": 4})
    figure.update_yaxes(tickformat=",d", nticks=3)
    return figure
