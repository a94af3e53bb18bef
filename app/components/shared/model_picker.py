"""Choosing one of the trained models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, words
from app.services import common
from backend.evaluation.options import STANDARD_K

if TYPE_CHECKING:
    from backend.bundles.bundle import Manifest

_SHOWN = 6  # folders that are left out
# Metrics as people read them, in order of weight; ``test.`` is measured against the gallery, ``val.`` during training.
_RATES = words.rate_titles(STANDARD_K)
METRIC_TITLES = {**_RATES, "precision_at_10": _RATES["precision_at_k"], "hit_rate_at_10": _RATES["hit_rate_at_k"]}
METRIC_HELP = {_RATES[name]: text for name, text in words.rate_help(STANDARD_K).items()}


def scores(model: Manifest) -> dict[str, float]:
    """Return the test metrics of a model by title, in order of weight; empty before it was evaluated."""
    found = ((METRIC_TITLES[name], model.metrics.get(f"test.{name}")) for name in METRIC_TITLES)
    return {title: value for title, value in found if value is not None}


def score_row(model: Manifest) -> dict[str, str]:
    """Return a model and its test metrics as a row of a table."""
    return {"Model": model.name, **{title: words.percent(v, digits=1) for title, v in scores(model).items()}}


def as_row(model: Manifest) -> dict[str, str]:
    """Return all that is known of a model as a row of a table."""
    return {
        "Model": model.name,
        "Index": words.count(model.index.size, "product") if model.index else "not built",
        **score_row(model),
        "Catalogue": f"{model.catalogue.name}, version {model.catalogue.version}",
        "Trained": words.moment(model.created_at),
    }


def choose() -> Manifest | None:
    """Let the user choose a model, the newest first; without any, say where models come from and return None."""
    models = common.models()
    _show_damaged()
    if not models:
        st.info("There is no model yet. A model is trained on a catalogue.", icon=":material/model_training:")
        navigation.link("train", "Train one")
        return None
    by_name = {model.name: model for model in models}
    name = st.selectbox("Model", list(by_name), key="model", bind="query-params")
    return by_name[name]


def _show_damaged() -> None:
    """Say which folders are left out, and why; the others are chosen from as ever."""
    for one in common.damaged_models()[:_SHOWN]:
        said = f"**{words.plain(one.name)}** cannot be used as a model. {words.prose(one.reason)}"
        st.warning(said, icon=":material/folder_off:")
    if more := len(common.damaged_models()[_SHOWN:]):
        st.caption(
            f"{words.count(more, 'more folder')} in the models folder cannot be read; `python -m backend models` "
            "lists them."
        )
