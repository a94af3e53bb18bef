"""One model on its way to be the champion: build its index, then deploy it, over another catalogue only when told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import words
from app.components.jobs import panel
from app.components.search import publish_question
from app.components.shared import charts, index_fidelity, model_picker, removal
from app.services import deploy as deploy_services
from app.services.common import models
from backend.flow.requests import DeleteRequest, DeployRequest, IndexRequest

if TYPE_CHECKING:
    from backend.bundles.bundle import Manifest


def show() -> None:
    """Let the user choose a model, and show what can be done with it."""
    model = model_picker.choose()
    if model is None:
        return
    charts.table([model_picker.as_row(other) for other in models()], key="models")
    _buttons(model, is_building=deploy_services.is_building(model.name))
    publish_question.show(f"deploy-{model.name}")
    index_fidelity.render(model.name)
    panel.show_latest("index", "delete")


def _buttons(model: Manifest, *, is_building: bool) -> None:
    has_index = model.index is not None
    with st.container(horizontal=True):
        build = st.button(
            "Build the index again" if has_index else "Build the index",
            type="secondary" if has_index or is_building else "primary",
            icon=":material/account_tree:",
            disabled=is_building,
            help="Embeds every product of the model's catalogue and makes them searchable.",
        )
        deploy = st.button(
            "Deploy as champion",
            type="primary" if has_index or is_building else "secondary",
            icon=":material/rocket_launch:",
            disabled=not (has_index or is_building),
            help="Registers the model. If it is no worse than the champion, the endpoint switches to it without "
            "downtime.",
        )
        removal.offer(DeleteRequest(model=model.name))
    if is_building:
        st.caption(f"The index of {words.plain(model.name)} is being built. Deploying waits for it.")
    elif not has_index:
        st.caption("Build the index first; only indexed products can be found.")
    if build:
        panel.submit(IndexRequest(model=model.name))
        st.rerun()
    if deploy:
        publish_question.submit(f"deploy-{model.name}", DeployRequest(model=model.name), model.catalogue.name)
