"""The training configuration as a form that is checked while it is filled, before anything starts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, words
from app.components.train import fields, preview
from app.services import training_checks
from backend.training.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend.errors import ConfigurationError
    from backend.training.config import TrainConfig
    from backend.training.costs import Estimate

_PRESET_WORDS = {
    "resnet": "Small grey pictures, as in Fashion-MNIST: a small residual network.",
    "photos": "Colour photos: a head on a network that was trained on a million photos; takes seconds.",
    "photos-tuned": "Colour photos: the same, with the last blocks tuned; takes minutes and is the most accurate.",
    "seed-cnn": "The original design: a network with one convolution.",
}


def show(catalogue: str, version: int, *, default_preset: str, workers: int = 1) -> TrainConfig | None:
    """Show the form, filled from the chosen preset; returns the configuration when it was just sent.

    Args:
        catalogue: What would be trained on.
        version: Its version.
        default_preset: The preset that fits it.
        workers: Processes that would train together.
    """
    config = _filled(_preset(default_preset))
    with notices.guarded():
        found = training_checks.check(catalogue, version, config, workers=workers)
        _say(found.problems, found.notes)
        if found.estimate is not None:
            st.caption(estimated(found.estimate, cores=training_checks.machine().cores))
        if st.button("Train", type="primary", icon=":material/model_training:", disabled=bool(found.problems)):
            return config
        if found.resolved is not None:
            preview.show(catalogue, version, config)
    return None


def estimated(needs: Estimate, *, cores: int) -> str:
    """Say what a training will take."""
    if needs.seconds is None:
        time = "Time is not estimated for GPUs"
    else:
        time = f"About {words.duration(needs.seconds)} on {words.count(cores, 'CPU core')}"
    return (
        f"{time} · {words.count(needs.steps, 'batch', 'batches')} per epoch · about {words.size(needs.memory_bytes)} of "
        f"memory · {words.size(needs.disk_bytes)} of disk space while it runs. Estimated from measurements on another "
        "machine; it may take half or twice as long."
    )


def _preset(default: str) -> TrainConfig:
    names = list(PRESETS)
    name = st.selectbox(
        "Preset",
        names,
        index=names.index(default),
        key=f"preset_for_{default}",
        width=320,
        help="A set of values that work together; change any of them below.",
    )
    st.caption(_PRESET_WORDS[name])
    return PRESETS[name]


def _filled(start: TrainConfig) -> TrainConfig:
    """Show the fields, the important ones first, and return what they say."""
    values: dict[str, Any] = fields.inputs(start, fields.MAIN)
    with st.expander("More options", icon=":material/tune:"):
        for heading, names in fields.GROUPS.items():
            st.markdown(f"**{heading}**")
            values |= fields.inputs(start, names)
    return replace(start, **values)


def _say(problems: Iterable[ConfigurationError], notes: Iterable[str]) -> None:
    """Say what stands in the way, and what will differ from what was asked for."""
    for problem in problems:
        st.warning(notices.sentence(problem.message, problem.next_step), icon=":material/block:")
    for note in notes:
        st.info(words.prose(note), icon=":material/info:")
