"""Trainings that ended early: gone on with, to as many epochs as one likes, or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.jobs import panel
from app.components.shared import removal
from app.services import training as training_services
from backend.flow.requests import DeleteRequest
from backend.training.config import RANGES

if TYPE_CHECKING:
    from backend.training.preparation import Unfinished


def show() -> None:
    """Offer to go on with each, or to delete it; nothing where there is none."""
    found = training_services.unfinished()
    if not found:
        return
    with st.expander(f"{words.count(len(found), 'training')} can be resumed", icon=":material/resume:"):
        for training in found:
            _one(training)


def _one(training: Unfinished) -> None:
    done, planned = training.epochs_done, training.config.epochs
    by = f", {training.workers:d} workers" if training.workers > 1 else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{words.plain(training.name)}** · {done:d} of {planned:d} epochs done{by}", width="stretch")
        with st.popover("Resume", icon=":material/play_arrow:", key=f"resume-{training.name}"):
            epochs = st.number_input(
                "Total epochs", done, int(RANGES["epochs"][1]), planned, key=f"resume-epochs-{training.name}"
            )
            st.caption("All other settings stay unchanged.")
            if st.button("Resume", type="primary", key=f"resume-{training.name}-now"):
                panel.submit(training_services.resumption(training, epochs=int(epochs)))
                st.rerun()
        removal.offer(DeleteRequest(model=training.name))
