"""Pure: data in, Plotly figure out; colours and fonts come from the app's theme."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import words
from backend.catalogue.items import USES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import plotly.graph_objects as go

    from backend.catalogue.items import CatalogueSummary

SPLIT_TITLES = {"train": "Train", "validation": "Validation", "test": "Test", "gallery-only": "Gallery only"}
USE_HELP = "Twinset learns from the products under Learning. Products under Progress check measure how it is doing along the way, and those under Final check how good the result is. Products under Answers only appear in results and are used for nothing else."
WHOLE_STEPS = 12  # so few that each gets its own tick
_CONFIG = {"displayModeBar": False, "responsive": True}
_MARGIN = {"l": 8, "r": 8, "t": 36, "b": 8}


def show(
    figure: go.Figure,
    *,
    key: str,
    alt: str,
    on_select: Callable[[], None] | None = None,
    mode: tuple[str, ...] = ("points",),
) -> None:
    """Draw a figure across the width of its container; ``alt`` says in words what it shows.

    ``on_select`` is called before the page runs again when a mark was clicked, or some were chosen where
    ``mode`` allows boxes; see ``state.clicked_point``.
    """
    selecting: dict[str, Any] = {"on_select": on_select, "selection_mode": mode} if on_select else {}
    st.plotly_chart(literal(figure), key=key, width="stretch", config=_CONFIG, alt=alt, **selecting)


def literal(figure: go.Figure) -> go.Figure:
    """Return a figure whose text is text: by itself, Plotly makes links of tags, and numbers and dates of labels.

    What marks carry is escaped with the rest; ``state.clicked_point`` gives it back as it was.
    """
    import plotly.graph_objects as go

    drawn: dict[str, Any] = figure.to_plotly_json()
    layout = drawn["layout"]
    for trace in drawn["data"]:
        trace |= {name: value if name.endswith("template") else escaped(value) for name, value in trace.items()}
        for axis in "xy":
            values = trace.get(axis)
            if isinstance(values, list) and any(isinstance(value, str) for value in values):
                layout.setdefault(f"{axis}axis", {}).setdefault("type", "category")
    layout |= {name: escaped(part) for name, part in layout.items() if name != "template"}
    return go.Figure(drawn)


def escaped(value: Any) -> Any:
    """Return a text, or all texts in lists and mappings, so that Plotly shows them letter by letter."""
    if isinstance(value, str):
        return html.escape(value, quote=False)
    if isinstance(value, list | tuple):
        return [escaped(one) for one in value]
    return {name: escaped(one) for name, one in value.items()} if isinstance(value, dict) else value


def class_counts(summary: CatalogueSummary) -> go.Figure:
    """Products of every label, one bar a label, stacked by what they are used for, the largest label on top."""
    import plotly.graph_objects as go

    by_name = sorted(summary.by_label, reverse=True)  # bars are drawn from the bottom up
    labels = sorted(by_name, key=lambda label: sum(summary.by_label[label].values()))
    figure = go.Figure()
    for split, title in USES.items():
        if summary.by_split.get(split):
            counts = [summary.by_label[label].get(split, 0) for label in labels]
            titles = [words.label(label) for label in labels]
            figure.add_bar(name=title, y=titles, x=counts, orientation="h", hovertemplate="%{y}: %{x:,}")
    layout(figure, height=90 + 26 * len(labels), title="")
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    figure.update_xaxes(tickformat=",d")
    return figure


def curves(points: Iterable[tuple[str, int, float]], names: Mapping[str, str], *, title: str, share: bool) -> go.Figure:
    """Metrics over steps, one line a name.

    Args:
        points: (name, step, value) as the job wrote them.
        names: Title of each metric to draw, by name; others are left out.
        title: Title of the chart.
        share: Whether the values are fractions, shown as per cent on a fixed axis.
    """
    import plotly.graph_objects as go

    lines: dict[str, list[tuple[int, float]]] = {}
    for name, step, value in points:
        if name in names:
            lines.setdefault(name, []).append((step, value))
    figure = go.Figure()
    for name, values in lines.items():
        ordered = sorted(values)
        mode = "lines+markers" if len(ordered) <= 40 else "lines"
        figure.add_scatter(name=names[name], x=[s for s, _ in ordered], y=[v for _, v in ordered], mode=mode)
    layout(figure, height=260, title=title)
    last = max((step for values in lines.values() for step, _ in values), default=0)
    figure.update_xaxes(dtick=1 if last <= WHOLE_STEPS else None, tickformat=",d")
    if share:
        figure.update_yaxes(tickformat=".0%")
    return figure


def layout(figure: Any, *, height: int, title: str) -> None:
    """Give a figure the height, title and margins that all figures have."""
    figure.update_layout(
        height=height,
        margin=_MARGIN if title else {**_MARGIN, "t": 8},
        title={"text": title, "font": {"size": 15}} if title else None,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "right", "x": 1.0},
        hovermode="closest",
    )


def table(rows: Sequence[Mapping[str, Any]], *, key: str | None = None) -> None:
    """Show rows as a table with all columns that any row has; what a row lacks stays empty.

    The first column stays in view where the others have to be scrolled, as on a phone.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    first = {name: st.column_config.Column(pinned=True) for name in list(names)[:1]}
    st.dataframe(columns, width="stretch", hide_index=True, key=key, placeholder="", column_config=first)
