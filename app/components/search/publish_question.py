"""The one question before answers come from another catalogue: whether it replaces the one that is searched now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from app import state
from app.components.jobs import panel
from app.services import deploy
from app.words import plain

if TYPE_CHECKING:
    from backend.flow.requests import DeployRequest, PromoteRequest, ReadyMadeRequest

    Publishing = DeployRequest | PromoteRequest | ReadyMadeRequest


def submit(topic: str, request: Publishing, catalogue: str) -> None:
    """Start the job; where its catalogue would replace the one that is searched, have :func:`show` ask first."""
    if catalogue and deploy.ledger().replaced_by(catalogue):
        state.note(topic, (request, catalogue))
    else:
        panel.submit(request)
        st.rerun()


def show(topic: str) -> None:
    """Show the question, if it was asked under this topic."""
    asked: tuple[Publishing, str] | None = state.noted(topic)
    if asked is None:
        return
    request, catalogue = asked
    searched = deploy.ledger().replaced_by(catalogue)
    with st.container(border=True, key=f"question-{topic}"):
        st.markdown(f"**This replaces the {plain(searched)} catalogue by {plain(catalogue)}. Publish?**")
        st.caption(
            f"Results will then come only from {plain(catalogue)}. You can go back to the previous results on the page "
            "Deploy, under Versions."
        )
        with st.container(horizontal=True):
            if st.button("Publish", type="primary", icon=":material/rocket_launch:", key=f"yes-{topic}"):
                state.forget(topic)
                panel.submit(replace(request, replace_catalogue=True))
                st.rerun()
            st.button("Cancel", key=f"no-{topic}", on_click=state.forget, args=(topic,))
