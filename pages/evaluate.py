"""Evaluate: how often a model's nearest products are the right ones, on products it never saw."""

import streamlit as st

from app.components import (
    evaluate_calibration,
    evaluate_compare,
    evaluate_form,
    evaluate_pairs,
    evaluate_queries,
    evaluate_state,
    evaluate_tables,
    job_panel,
    model_picker,
)

st.title("Evaluate")
st.caption("Each product of the test split is asked about; a neighbour with the same label counts as right.")

# 1. Which model, and what to measure of it.
model = model_picker.choose()
if model is None:
    st.stop()
if model.index is None:
    evaluate_state.show_no_index()
elif (request := evaluate_form.show(model)) is not None:
    job_panel.submit(request)
job_panel.show_latest("evaluate", page="evaluate")

# 2. What was found.
report = evaluate_state.report(model)
if report is None:
    st.stop()
views = ["Overview", "Labels", "Mistakes", "Worst", "Changed pictures", "New kinds", "Match or not", "Two models"]
overview, labels, mistakes, worst, changed, new, match, two = st.tabs(views, key="view", bind="query-params")
if overview.open:
    with overview:
        evaluate_tables.show_overview(report)
if labels.open:
    with labels:
        evaluate_tables.show_labels(report)
if mistakes.open:
    with mistakes:
        evaluate_pairs.show(model, report)
if worst.open:
    with worst:
        evaluate_queries.show(model, report)
if changed.open:
    with changed:
        evaluate_tables.show_robustness(report)
if new.open:
    with new:
        evaluate_tables.show_unseen(report)
if match.open:
    with match:
        evaluate_calibration.show(report)
if two.open:
    with two:
        evaluate_compare.show(model, report)
