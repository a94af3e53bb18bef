"""Scores as tables: every figure with its 95 % interval, the model first, what it must beat beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.evaluate import charts as evaluate_charts
from app.components.shared import charts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backend.evaluation.bootstrap import Estimate
    from backend.evaluation.report import Changed, Evaluation, ScoreRow

CHANGE_TITLES = {
    "": "Unchanged",
    "turned-left": "Rotated left by 15 degrees",
    "turned-right": "Rotated right by 15 degrees",
    "cropped": "Cropped by a tenth",
    "darker": "Darker (0.6 times as bright)",
    "jpeg": "Low-quality JPEG (quality 30)",
}
_SURE = "95 % confidence interval, by resampling the test products."


def span(rate: Estimate, *, digits: int = 1) -> str:
    """Say an interval."""
    return f"{rate.low * 100:.{digits}f} to {words.percent(rate.high, digits=digits)}"


def show_overview(report: Evaluation) -> None:
    """Show the model's own figures with their intervals, and below them the table with what is beside it."""
    titles, row = words.rate_titles(report.options.k), report.model_row
    with st.container(horizontal=True):
        for name, title in titles.items():
            with st.container(border=True, width=170, gap="xsmall"):
                st.metric(
                    title, words.percent(row.rates[name].value, digits=1), help=words.rate_help(report.options.k)[name]
                )
                st.caption(span(row.rates[name]), help=_SURE)
    st.caption(
        f"{words.count(row.queries, 'test product')} as queries, {words.count(row.gallery, 'product')} searched."
        + (f" {words.count(report.left_out, 'near duplicate')} left out." if report.left_out else "")
    )
    for note in report.notes:
        st.caption(f":material/info: {words.prose(note)}")
    if len(report.seen) > 1:
        st.subheader("Baselines and other models")
        show_rows(report.seen, report.options.k, key="seen")
        figure = evaluate_charts.intervals(report.seen, titles)
        charts.show(figure, key="seen-chart", alt="Scores of the model and its baselines, with confidence intervals")
        st.markdown(verdict(report.seen))


def verdict(rows: Sequence[ScoreRow]) -> str:
    """Say in a sentence what the model beats, and what beats it, by MAP@R; intervals that overlap decide nothing."""
    model = next(row for row in rows if row.kind == "model").rates["map_at_r"]
    others = [row for row in rows if row.kind != "model"]
    beaten = [row.name for row in others if row.rates["map_at_r"].high < model.low]
    better = [row.name for row in others if row.rates["map_at_r"].low > model.high]
    even = [row.name for row in others if row.name not in {*beaten, *better}]
    told = {"Better than this model": better, "About as good": even, "Not as good": beaten}
    return " ".join(f"{title}: {words.plain(', '.join(names))}." for title, names in told.items() if names)


def show_rows(rows: Iterable[ScoreRow], k: int, *, key: str) -> None:
    """Show who answered how well, one line each."""
    titles = words.rate_titles(k)
    charts.table(
        [
            {"Who": row.name, **{title: _cell(row.rates[name]) for name, title in titles.items()}, "Asked": row.queries}
            for row in rows
        ],
        key=key,
    )


def _cell(rate: Estimate) -> str:
    return f"{words.percent(rate.value, digits=1)} ({span(rate)})"


def show_labels(report: Evaluation) -> None:
    """Show the scores of every label, the worst first."""
    st.caption("Retrieval quality by label, worst first.")
    charts.table(
        [
            {
                "Label": words.label(score.label),
                "Precision@1": words.percent(score.precision_at_1, digits=1),
                f"Precision@{report.options.k}": words.percent(score.precision_at_k, digits=1),
                "R-precision": words.percent(score.r_precision, digits=1),
                "MAP@R": words.percent(score.map_at_r, digits=1),
                "Asked": score.queries,
                "To be found": score.gallery,
            }
            for score in report.by_label
        ],
        key="by-label",
    )


def show_robustness(report: Evaluation) -> None:
    """Show how well changed pictures are answered, or how to find out."""
    if not report.robustness:
        st.info(
            "Not measured yet. Select *Also test changed pictures* above and evaluate again.",
            icon=":material/rotate_right:",
        )
        return
    st.caption(
        "The same test products, with their pictures changed in the ways customers' photos differ from a shop's."
    )
    titles = {name: words.rate_titles(report.options.k)[name] for name in ("precision_at_1", "map_at_r")}
    charts.table(_robustness_rows(report.robustness, titles), key="robustness")


def _robustness_rows(found: Sequence[Changed], titles: dict[str, str]) -> list[dict[str, str]]:
    return [
        {
            "Pictures": CHANGE_TITLES.get(changed.change, changed.change),
            **{
                f"{row.name}: {title}": _cell(row.rates[name]) for row in changed.rows for name, title in titles.items()
            },
        }
        for changed in found
    ]


def show_unseen(report: Evaluation) -> None:
    """Show how well classes are answered that were kept out of training, or how to keep some out."""
    unseen = report.unseen
    if unseen is None:
        st.info(
            "The model was trained on every label of its catalogue. To see how it handles unseen classes, choose "
            "some labels under “Labels that Twinset does not learn” on the Catalogue page, and train again.",
            icon=":material/visibility_off:",
        )
        return
    names = ", ".join(words.plain(label) for label in unseen.classes)
    st.markdown(
        f"Excluded from training: **{names}**. Half of their products are queries; the other half are in the gallery."
    )
    st.subheader("Among themselves", help="Only products of these labels are searched.")
    if unseen.among:
        show_rows(unseen.among, report.options.k, key="unseen-among")
        st.markdown(verdict(unseen.among))
    else:
        st.caption("A single label has nothing to be confused with.")
    st.subheader(
        "In the mixed gallery",
        help="All products are searched. This exposes a model that confuses unseen classes with those it knows.",
    )
    show_rows(unseen.mixed, report.options.k, key="unseen-mixed")
    st.markdown(verdict(unseen.mixed))
