"""Pure: the trials of a sweep in, Plotly figures out. Marks carry their trial's number; chosen trials stand out."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app.components.shared import charts
from app.components.train import fields
from app.components.tune import words
from backend.tuning.records import TrialState
from backend.tuning.report import history as history_of
from backend.tuning.space import LOGARITHMIC

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import plotly.graph_objects as go

    from backend.tuning.plan import SweepPlan
    from backend.tuning.records import TrialRecord

_SCALE = "Viridis"
_PALE = 0.25
_LONGEST = 14
_FEW = 24
_ROOM = 0.05  # around a lone figure
_STATE_COLOURS = {
    TrialState.RUNNING: "#3b82f6",
    TrialState.DONE: "#16a34a",
    TrialState.HALTED: "#a3a3a3",
    TrialState.FAILED: "#dc2626",
    TrialState.INTERRUPTED: "#f59e0b",
}
_HOVER = "trial %{customdata[0]}: %{y:.2%}<extra></extra>"


def parallel(plan: SweepPlan, trials: Sequence[TrialRecord], chosen: Collection[int] = ()) -> go.Figure:
    """One line a trial through its values to its figure; with some chosen, only these are lines in colour."""
    import plotly.graph_objects as go

    shown = [trial for trial in trials if trial.value is not None]
    marked = [trial for trial in shown if trial.number in chosen]
    figures = [_share(trial.value) for trial in marked or shown]
    dimensions = [
        _axis(plan, name, [trial.values[name] for trial in marked or shown]) for name in plan.space.dimensions
    ]
    low, high = min(_share(t.value) for t in shown), max(_share(t.value) for t in shown)
    figure = go.Figure(
        go.Parcoords(
            line={"color": figures, "colorscale": _SCALE, "cmin": low, "cmax": high},
            dimensions=[*dimensions, {"label": "Figure", "values": figures, "range": [low, high], "tickformat": ".1%"}],
            labelfont={"size": 12},
            labelangle=-18,
        )
    )
    charts.layout(figure, height=360, title="")
    figure.update_layout(margin={"l": 64, "r": 48, "t": 84, "b": 32})
    return figure


def _axis(plan: SweepPlan, name: str, values: list[Any]) -> dict[str, Any]:
    dimension = plan.space.dimensions[name]
    label = fields.title(name)
    if dimension.kind == "choice":
        places = [dimension.values.index(value) for value in values]
        texts = [_short(words.value(name, value)) for value in dimension.values]
        return {
            "label": label,
            "values": places,
            "tickvals": list(range(len(texts))),
            "ticktext": texts,
            "range": [-0.2, len(texts) - 0.8],
        }
    if dimension.kind in LOGARITHMIC:
        ends = [math.log10(dimension.low), math.log10(dimension.high)]
        ticks = [ends[0] + (ends[1] - ends[0]) * part / 3 for part in range(4)]
        shown = [f"{10**tick:.2g}" for tick in ticks]
        logs = [math.log10(value) for value in values]
        return {"label": label, "values": logs, "tickvals": ticks, "ticktext": shown, "range": ends}
    return {"label": label, "values": values, "range": [dimension.low, dimension.high]}


def _short(text: str) -> str:
    """Cut what would run across a neighbouring axis."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"


def importance(shares: Mapping[str, float]) -> go.Figure:
    """How much of the differences between trials each field explains alone, the most on top."""
    import plotly.graph_objects as go

    names = list(shares)[::-1]
    figure = go.Figure()
    figure.add_bar(
        y=[fields.title(name) for name in names],
        x=[shares[name] for name in names],
        orientation="h",
        text=[f"{shares[name]:.0%}" for name in names],
        textposition="outside",
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    charts.layout(figure, height=90 + 34 * len(names), title="Parameter importance")
    figure.update_xaxes(tickformat=".0%", range=[0, 1.12])
    return figure


def history(trials: Sequence[TrialRecord], chosen: Collection[int] = ()) -> go.Figure:
    """Figures in the order in which trials ended, and the best until then."""
    import plotly.graph_objects as go

    ended = history_of(list(trials))
    figure = go.Figure()
    places = list(range(1, len(ended) + 1))
    figure.add_scatter(
        name="Best so far",
        x=places,
        y=[best for _, best in ended],
        mode="lines",
        line={"shape": "hv"},
        hoverinfo="skip",
    )
    _points(figure, "Trials", places, [trial for trial, _ in ended], chosen)
    charts.layout(figure, height=300, title="Progress")
    if len(ended) == 1:  # by itself, a lone mark gets an axis up to 150 %
        figure.update_yaxes(range=[_share(ended[0][1]) - _ROOM, _share(ended[0][1]) + _ROOM])
    few = {"dtick": 1, "range": [0.5, max(len(ended), 2) + 0.5]} if len(ended) <= _FEW else {}
    figure.update_xaxes(title="Finished trials", tickformat=",d", **few)
    return _selectable(figure)


def one_slice(plan: SweepPlan, name: str, trials: Sequence[TrialRecord], chosen: Collection[int] = ()) -> go.Figure:
    """Figures over the values of one field."""
    import plotly.graph_objects as go

    shown = [trial for trial in trials if trial.value is not None]
    dimension = plan.space.dimensions[name]
    is_choice = dimension.kind == "choice"
    values = [words.value(name, t.values[name]) if is_choice else t.values[name] for t in shown]
    figure = go.Figure()
    _points(figure, fields.title(name), values, shown, chosen)
    charts.layout(figure, height=240, title=fields.title(name))
    figure.update_layout(showlegend=False)
    if dimension.kind in LOGARITHMIC:
        figure.update_xaxes(type="log")
    if is_choice:
        order = [words.value(name, value) for value in dimension.values]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    return _selectable(figure)


def _points(
    figure: Any, title: str, places: Sequence[Any], trials: Sequence[TrialRecord], chosen: Collection[int]
) -> None:
    opacity = [1.0 if not chosen or trial.number in chosen else _PALE for trial in trials]
    figure.add_scatter(
        name=title,
        x=list(places),
        y=[trial.value for trial in trials],
        mode="markers",
        marker={
            "size": 9,
            "opacity": opacity,
            "symbol": ["circle" if trial.state is TrialState.DONE else "circle-open" for trial in trials],
        },
        customdata=[[trial.number] for trial in trials],
        hovertemplate=_HOVER,
    )


def _selectable(figure: go.Figure) -> go.Figure:
    figure.update_yaxes(tickformat=".1%")
    figure.update_layout(dragmode="select")
    return figure


def timeline(trials: Sequence[TrialRecord], *, now: float) -> go.Figure:
    """When each trial ran, one bar a trial, the first on top."""
    import plotly.graph_objects as go

    begun = [trial for trial in trials if trial.started_at]
    figure = go.Figure()
    for state, colour in _STATE_COLOURS.items():
        mine = [trial for trial in begun if trial.state is state]
        if mine:
            spans = [max((trial.finished_at or now) - trial.started_at, 0.0) for trial in mine]
            figure.add_bar(
                name=words.STATES[state],
                base=[datetime.fromtimestamp(trial.started_at, UTC).astimezone() for trial in mine],
                x=[span * 1000 for span in spans],  # of a date axis: milliseconds
                y=[trial.number for trial in mine],
                orientation="h",
                width=0.7,
                marker={"color": colour},
                customdata=[[trial.number, span] for trial, span in zip(mine, spans, strict=True)],
                hovertemplate="trial %{customdata[0]}: %{customdata[1]:.1f} s<extra></extra>",
            )
    charts.layout(figure, height=min(120 + 16 * len(begun), 420), title="Timeline")
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(type="date")
    last = max((trial.number for trial in begun), default=1)
    figure.update_yaxes(range=[last + 0.6, 0.4], title="Trial", tickformat=",d", dtick=1 if last <= _FEW else None)
    return figure


def curves(trials: Sequence[TrialRecord], chosen: Collection[int] = ()) -> go.Figure:
    """Figures over epochs, one line a trial."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for trial in trials:
        if trial.epochs and (not chosen or trial.number in chosen):
            figure.add_scatter(
                name=f"Trial {trial.number}",
                x=[figures.epoch for figures in trial.epochs],
                y=[figures.value for figures in trial.epochs],
                mode="lines+markers",
                line={"width": 3 if trial.state is TrialState.RUNNING else 1},
                customdata=[[trial.number]] * len(trial.epochs),
                hovertemplate=_HOVER,
            )
    charts.layout(figure, height=300, title="Epoch by epoch")
    figure.update_xaxes(title="Epoch", tickformat=",d")
    figure.update_yaxes(tickformat=".1%")
    figure.update_layout(showlegend=False)
    return figure


def growth(sweeps: Mapping[str, Sequence[TrialRecord]]) -> go.Figure:
    """Best figure so far over the minutes of trials, one line a sweep."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, trials in sweeps.items():
        ended = history_of(list(trials))
        first = min((trial.started_at for trial, _ in ended), default=0.0)
        minutes = [(trial.finished_at - first) / 60 for trial, _ in ended]
        figure.add_scatter(name=name, x=minutes, y=[b for _, b in ended], mode="lines+markers", line={"shape": "hv"})
    charts.layout(figure, height=320, title="Best figure so far")
    figure.update_xaxes(title="Minutes since the first trial")
    figure.update_yaxes(tickformat=".1%")
    return figure


def _share(value: float | None) -> float:
    return 0.0 if value is None else value
