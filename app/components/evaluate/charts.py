"""Pure figures of an evaluation: intervals, label against label, and how well probabilities hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app import words
from app.components.shared import charts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import plotly.graph_objects as go

    from backend.evaluation.calibrate import ReliabilityBin
    from backend.evaluation.report import ConfusionCell, ScoreRow

LABELS_DRAWN = 40
_CELL_PIXELS = 30


def intervals(rows: Sequence[ScoreRow], titles: Mapping[str, str]) -> go.Figure:
    """One mark for every row and rate, with its interval; rates by title on one axis, best readable side by side."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for row in rows:
        rates = [row.rates[name] for name in titles]
        figure.add_bar(
            name=row.name,
            x=list(titles.values()),
            y=[rate.value for rate in rates],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [rate.high - rate.value for rate in rates],
                "arrayminus": [rate.value - rate.low for rate in rates],
                "thickness": 1,
            },
            hovertemplate="%{x}: %{y:.1%}",
        )
    charts.layout(figure, height=320, title="")
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    figure.update_layout(barmode="group", showlegend=len(rows) > 1)
    return figure


def drawn_labels(cells: Sequence[ConfusionCell]) -> list[str]:
    """Labels that the matrix shows: all in order, or those most often taken for another where there are very many."""
    wrong: dict[str, int] = {}
    for cell in cells:
        for label in (cell.label, cell.nearest):
            wrong[label] = wrong.get(label, 0) + (cell.queries if cell.label != cell.nearest else 0)
    most = sorted(wrong, key=lambda label: (-wrong[label], label))[:LABELS_DRAWN]
    return sorted(most)


def confusion(cells: Sequence[ConfusionCell]) -> go.Figure:
    """Share of the queries of each label, a row, whose nearest product has which label, a column.

    The squares in front are what can be clicked: each carries the two labels.
    """
    import plotly.graph_objects as go

    labels = drawn_labels(cells)
    asked = [label for label in labels if any(cell.label == label for cell in cells)]
    totals: dict[str, int] = {}
    for cell in cells:
        totals[cell.label] = totals.get(cell.label, 0) + cell.queries
    counts = {(cell.label, cell.nearest): cell.queries for cell in cells}
    shares = [[counts.get((row, column), 0) / totals[row] for column in labels] for row in asked]
    text = [[str(counts.get((row, column), "")) for column in labels] for row in asked]
    figure = go.Figure()
    figure.add_heatmap(
        z=[[share**0.5 for share in row] for row in shares],  # so that rare mistakes are seen, too
        x=[words.label(label) for label in labels],
        y=[words.label(label) for label in asked],
        text=text,
        texttemplate="%{text}",
        showscale=False,
        hoverinfo="skip",
        xgap=1,
        ygap=1,
    )
    shown = [cell for cell in cells if cell.label in labels and cell.nearest in labels]
    figure.add_scatter(
        x=[words.label(cell.nearest) for cell in shown],
        y=[words.label(cell.label) for cell in shown],
        mode="markers",
        marker={"symbol": "square", "size": _CELL_PIXELS - 6, "opacity": 0.01},
        customdata=[[cell.label, cell.nearest, cell.queries, cell.queries / totals[cell.label]] for cell in shown],
        hovertemplate="%{y}, nearest is %{x}: %{customdata[2]:,} (%{customdata[3]:.1%})<extra></extra>",
    )
    charts.layout(figure, height=150 + _CELL_PIXELS * len(asked), title="")
    figure.update_xaxes(title="Label of the nearest product", side="top", tickangle=-45)
    figure.update_yaxes(title="Label of the query", autorange="reversed")
    figure.update_layout(showlegend=False)
    return figure


def reliability(bins: Sequence[ReliabilityBin]) -> go.Figure:
    """What was predicted against what came true, on test products; the line is where both are the same."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        name="Perfect calibration", x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot"}, hoverinfo="skip"
    )
    most = max(found.queries for found in bins)
    figure.add_scatter(
        name="Test products",
        x=[found.predicted for found in bins],
        y=[found.observed for found in bins],
        mode="lines+markers",
        marker={"size": [8 + 16 * (found.queries / most) ** 0.5 for found in bins]},
        customdata=[found.queries for found in bins],
        hovertemplate="predicted %{x:.1%}, observed %{y:.1%}: %{customdata:,} products<extra></extra>",
    )
    charts.layout(figure, height=320, title="Reliability diagram")
    figure.update_xaxes(title="Predicted", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(title="Observed", tickformat=".0%", range=[0, 1.02])
    figure.update_layout(showlegend=False)
    return figure


def probability(curve: Sequence[tuple[float, float]], threshold: float | None) -> go.Figure:
    """Probability that the nearest product is of the same kind, by its similarity; the threshold as a line."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=[similarity for similarity, _ in curve],
        y=[share for _, share in curve],
        mode="lines+markers",
        hovertemplate="similarity %{x:.3f}: %{y:.1%}<extra></extra>",
    )
    if threshold is not None:
        figure.add_vline(
            x=threshold, line_dash="dot", annotation_text="match threshold", annotation_position="bottom left"
        )
    charts.layout(figure, height=320, title="Calibration curve")
    figure.update_xaxes(title="Similarity of the nearest product")
    figure.update_yaxes(title="Probability of the same label", tickformat=".0%", range=[0, 1.02])
    return figure
