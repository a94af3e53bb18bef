"""What a similarity is worth: the probability of the same kind, from where on an answer is a match, and how well it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.evaluate import charts as evaluate_charts
from app.components.shared import charts

if TYPE_CHECKING:
    from backend.evaluation.report import CalibrationReport, Evaluation


def show(report: Evaluation) -> None:
    """Show the calibration, or why there is none."""
    found = report.calibration
    if found is None:
        st.info(
            "The similarity could not be turned into a probability: the catalogue has too few validation products.",
            icon=":material/straighten:",
        )
        return
    st.markdown(words.plain(sentence(found)))
    _figures(found)
    left, right = st.columns(2)
    with left:
        figure = evaluate_charts.probability(found.curve, found.threshold)
        charts.show(figure, key="probability", alt="Probability of the same label by similarity")
    with right:
        figure = evaluate_charts.reliability(found.reliability)
        charts.show(figure, key="reliability", alt="Promised probability against the share that came true")
    st.caption(
        f"Fitted on {words.count(found.validation_queries, 'validation product')}; the test products only say how well it holds."
    )


def sentence(found: CalibrationReport) -> str:
    """Say from where on an answer is a match."""
    target = words.percent(found.precision_target)
    if found.threshold is None:
        return f"No similarity is high enough for {target} right answers, so nothing is called a match."
    aim = f"An answer is called a match from a similarity of {found.threshold:.3f} on, chosen on validation products"
    asked = f"{words.percent(found.test_answered)} of the test products get a match"
    told = (
        f"{aim} so that {target} of the matches would be right; below it an answer is called related, or nothing close. "
        f"{asked}"
    )
    if found.test_precision is None:
        return f"{told}."
    short = ", fewer than was aimed at" if found.test_precision < found.precision_target else ""
    return f"{told}, and {words.percent(found.test_precision, digits=1)} of these are right{short}."


def _figures(found: CalibrationReport) -> None:
    with st.container(horizontal=True):
        st.metric(
            "Calibration error",
            words.percent(found.ece, digits=1),
            border=True,
            help="How far promised probabilities are from what comes true, on average (ECE). Less is better.",
        )
        if found.auroc_unknown is not None:
            st.metric(
                "Known or new kind",
                words.percent(found.auroc_unknown, digits=1),
                border=True,
                help="How often a product of a known kind comes nearer to its neighbour than one of a kind that the "
                "model never saw (AUROC). 50 % is guessing.",
            )
        if found.unknown_refused is not None:
            st.metric(
                "New kinds refused",
                words.percent(found.unknown_refused, digits=1),
                border=True,
                help="The share of products of kinds the model never saw that are rightly called no good match.",
            )
