"""The training configuration as a form; every range and preset comes from ``backend.training.config``."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import streamlit as st

from backend.training import config as training
from backend.training.config import PRESETS, RANGES, TrainConfig

MAIN = ("epochs", "learning_rate", "classes_per_batch", "examples_per_class", "embedding_size", "patience")
MORE = (
    *("loss", "proxy_weight", "schedule", "weight_decay", "augmentation", "dropout", "steps_per_epoch"),
    *("height", "width", "channels", "background", "seed"),
)
HELP = {
    "epochs": "Passes over the training products. More take longer and help up to a point.",
    "learning_rate": "How large the steps of learning are. Too large diverges, too small takes for ever.",
    "classes_per_batch": "How many labels are compared at a time.",
    "examples_per_class": "How many products of each of these labels are compared at a time.",
    "embedding_size": "Numbers that describe a picture. More can tell finer differences and make a larger index.",
    "patience": "Epochs without improvement on the validation products before training stops; 0 means never.",
    "loss": "What is learnt: pulling a label's products together, and with the proxy term towards a common centre.",
    "proxy_weight": "How much the proxy term counts beside the pairs; only for the loss that has one.",
    "schedule": "Whether the learning rate stays, or rises and falls once.",
    "weight_decay": "How strongly large weights are pulled back, against learning products by heart; 0 means not.",
    "augmentation": "Whether training also sees pictures mirrored or shifted.",
    "dropout": "The share of the network that is left out at random while it learns.",
    "steps_per_epoch": "Batches an epoch; 0 means as many as make one pass.",
    "height": "Height in pixels of what the network sees.",
    "width": "Width in pixels of what the network sees.",
    "channels": "1 for grey, 3 for colour.",
    "background": "What the products are photographed on; a query on the other ground is inverted.",
    "seed": "The same seed, data and machine give the same start.",
}


def show(*, default_preset: str) -> TrainConfig | None:
    """Show the form, filled from the chosen preset; returns the configuration when it was just sent.

    Raises:
        ConfigurationError: A field is out of range.
    """
    names = list(PRESETS)
    preset = st.selectbox(
        "Preset",
        names,
        index=names.index(default_preset),
        key=f"preset_for_{default_preset}",
        help="A set of values that work together; change any of them below.",
    )
    with st.form("train", border=False):
        values = _inputs(PRESETS[preset], MAIN)
        with st.expander("More"):
            values |= _inputs(PRESETS[preset], MORE)
        if st.form_submit_button("Train", type="primary", icon=":material/model_training:"):
            return training.preset(preset, **values)
    return None


def _inputs(start: TrainConfig, names: tuple[str, ...]) -> dict[str, Any]:
    columns = st.columns(3)
    values = {}
    for position, name in enumerate(names):
        with columns[position % 3]:
            values[name] = _input(start, name)
    return values


def _input(start: TrainConfig, name: str) -> Any:
    value = getattr(start, name)
    # The preset is part of the key: another preset brings its own values.
    shared: dict[str, Any] = {
        "label": name.replace("_", " ").capitalize(),
        "help": HELP[name],
        "key": f"{start.preset}_{name}",
    }
    choices = get_args(get_type_hints(TrainConfig)[name])
    if choices:
        return st.selectbox(**shared, options=choices, index=choices.index(value))
    low, high = RANGES[name]
    if isinstance(value, int):
        return st.number_input(**shared, value=value, min_value=int(low), max_value=int(high), step=1)
    return st.number_input(**shared, value=value, min_value=low, max_value=high, step=value / 10 or 0.05, format="%g")
