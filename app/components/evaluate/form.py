"""What to measure of a model, as a form; ranges and defaults come from ``backend.evaluation.options``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import identity
from app.services import evaluation
from backend.evaluation.options import RANGES, EvaluationOptions
from backend.flow.requests import EvaluateRequest
from backend.flow.roles import role_for

if TYPE_CHECKING:
    from backend.bundles.bundle import Manifest

HELP = {
    "baselines": "Also evaluates raw pixels, PCA with 128 components and, where it exists, the original's network. A "
    "model that does not beat these baselines has learnt nothing useful. Takes longer.",
    "robustness": "Also evaluates on the same pictures rotated by 15 degrees, cropped by a tenth, darkened, and "
    "saved as low-quality JPEG. Takes longer.",
    "without_duplicates": "Excludes test products whose picture, or a near duplicate of it, is also in the gallery; "
    "finding those proves nothing.",
    "against": "Models to score beside this one in every table.",
    "k": "How many nearest products Precision@k and Hit rate@k consider.",
    "bootstrap": "How often the test products are resampled for the confidence intervals.",
    "precision_target": "The share of matches that must be correct.",
    "seed": "The same seed draws the same samples.",
}
TITLES = {
    "baselines": "Compare with baselines",
    "robustness": "Also test changed pictures",
    "without_duplicates": "Leave out near duplicates",
    "against": "Compare with models",
    "k": "Nearest products (k)",
    "bootstrap": "Bootstrap resamples",
    "precision_target": "Target precision of a match",
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
        if st.form_submit_button(
            "Evaluate",
            type="primary",
            **identity.only_for(role_for("evaluate")),
            icon=":material/analytics:",
        ):
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
