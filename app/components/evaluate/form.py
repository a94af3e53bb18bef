"""What to measure of a model, as a form; ranges and defaults come from ``backend.evaluation.options``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.services import evaluation
from backend.evaluation.options import RANGES, EvaluationOptions
from backend.flow.requests import EvaluateRequest

if TYPE_CHECKING:
    from backend.bundles.bundle import Manifest

HELP = {
    "baselines": "Also asks the bare pixels, their 128 main directions (PCA) and, where there is one, the original's "
    "network. A model that does not beat them has learnt nothing of use. Takes longer.",
    "robustness": "Also asks with the same pictures turned by 15 degrees, cut off by a tenth, darkened, and saved as a "
    "poor JPEG. Takes longer.",
    "without_duplicates": "Leaves out test products whose picture, or nearly the same one, is also in the gallery: "
    "finding those is no achievement.",
    "against": "Models that are scored beside this one, in every table.",
    "k": "How many of the nearest products Precision@k and Hit rate@k look at.",
    "bootstrap": "How often the test products are drawn anew to find out how sure a figure is.",
    "precision_target": "Which share of the answers that are called a match must be right.",
    "seed": "The same seed draws the same products.",
}
TITLES = {
    "baselines": "Compare with simple methods",
    "robustness": "Ask with changed pictures, too",
    "without_duplicates": "Leave out near duplicates",
    "against": "Compare with models",
    "k": "Nearest products (k)",
    "bootstrap": "Redraws for intervals",
    "precision_target": "Precision of a match",
    "seed": "Seed",
}


def show(model: Manifest) -> EvaluateRequest | None:
    """Show the form; returns the request when it was just sent."""
    usual = EvaluationOptions()
    with st.form("evaluate", border=False):
        values: dict[str, Any] = {}
        with st.container(horizontal=True):
            for name in ("baselines", "robustness", "without_duplicates"):
                values[name] = st.checkbox(TITLES[name], getattr(usual, name), key=f"evaluate_{name}", help=HELP[name])
        with st.expander("More"):
            values |= _more(model, usual)
        if st.form_submit_button("Evaluate", type="primary", icon=":material/analytics:"):
            return EvaluateRequest(model=model.name, **values)
    return None


def _more(model: Manifest, usual: EvaluationOptions) -> dict[str, Any]:
    values: dict[str, Any] = {}
    columns = st.columns(4)
    for column, name in zip(columns, ("k", "precision_target", "bootstrap", "seed"), strict=True):
        value = getattr(usual, name)
        low, high = RANGES[name]
        bounds: dict[str, Any] = (
            {"min_value": int(low), "max_value": int(high), "step": 1}
            if isinstance(value, int)
            else {"min_value": low, "max_value": high, "step": 0.01}
        )
        with column:
            values[name] = st.number_input(TITLES[name], value=value, key=f"evaluate_{name}", help=HELP[name], **bounds)
    others = [other.name for other in evaluation.same_version(model)]
    if others:
        values["against"] = tuple(
            st.multiselect(TITLES["against"], others, key="evaluate_against", help=HELP["against"])
        )
    return values
