"""Pure figures of the Explore page: label against label, and how often products are recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app import words
from app.components.shared import charts

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from backend.projection.insight import Hubs, Overlap

LABELS_DRAWN = 40
_CELL_PIXELS = 26
_BARS = 40


def overlap(found: Overlap) -> go.Figure:
    """Share of the neighbours of each label, a row, that have which label, a column."""
    rows = drawn_labels(found)
    shares = found.shares[np.ix_(rows, rows)]
    figure = _matrix(
        found, rows, np.sqrt(shares), [[f"{share:.0%}" if share >= 0.005 else "" for share in row] for row in shares]
    )
    figure.update_xaxes(title="Label of the neighbours")
    return figure


def distances(found: Overlap) -> go.Figure:
    """Cosine distance between the centres of labels."""
    rows = drawn_labels(found)
    apart = found.distances[np.ix_(rows, rows)]
    return _matrix(found, rows, -apart, [[f"{value:.2f}" for value in row] for row in apart])


def drawn_labels(found: Overlap) -> list[int]:
    """Return which labels are drawn: all, or the largest where there are very many; in their order."""
    largest = sorted(range(len(found.labels)), key=lambda at: (-found.counts[at], found.labels[at]))[:LABELS_DRAWN]
    return sorted(largest)


def occurrences(found: Hubs) -> go.Figure:
    """Number of products by number of lists that contain them."""
    import plotly.graph_objects as go

    counts = np.bincount(np.minimum(found.occurrences, _BARS))
    texts = [str(number) if number < _BARS else f"{_BARS} or more" for number in range(len(counts))]
    figure = go.Figure()
    figure.add_bar(
        x=list(range(len(counts))),
        y=counts.tolist(),
        customdata=texts,
        hovertemplate="in %{customdata} lists: %{y:,}<extra></extra>",
    )
    charts.layout(figure, height=240, title="")
    figure.update_xaxes(title=f"Number of {found.k}-nearest lists that contain a product")
    figure.update_yaxes(title="Products", tickformat=",d")
    return figure


def _matrix(found: Overlap, rows: list[int], shade: NDArray[np.float64], text: list[list[str]]) -> go.Figure:
    import plotly.graph_objects as go

    names = [words.label(found.labels[at]) for at in rows]
    figure = go.Figure()
    figure.add_heatmap(
        z=shade.tolist(),
        x=names,
        y=names,
        text=text,
        texttemplate="%{text}",
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate="%{y} and %{x}: %{text}<extra></extra>",
    )
    charts.layout(figure, height=140 + _CELL_PIXELS * len(names), title="")
    figure.update_xaxes(side="top", tickangle=-45)
    figure.update_yaxes(autorange="reversed")
    return figure
