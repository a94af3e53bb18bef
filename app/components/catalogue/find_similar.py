"""From a catalogue to its first answer: one button, the work behind it, and the page that answers once it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import identity, navigation, state
from app.components.jobs import panel
from app.components.search import publish_question
from app.services import common, deploy
from backend.flow.requests import ReadyMadeRequest
from backend.flow.roles import role_for
from backend.jobs.states import JobState

if TYPE_CHECKING:
    from backend.jobs.store import Job

KIND = ReadyMadeRequest.kind
TITLE = "Find similar in this catalogue"
HELP = (
    "Reads every picture once. After that, Twinset finds the products that look most like a photo. Products need no labels "
    "for this."
)


def show(catalogue: str) -> None:
    """Show the button, or the way to the answers where they come from this catalogue already."""
    job = next(iter(common.jobs().list(limit=1, kind=KIND)), None)
    if job is not None:
        _go_on(job)
    if catalogue and deploy.answers_from(catalogue):
        navigation.link("recommend", TITLE)
    elif job is None or job.state.is_finished:
        if st.button(
            TITLE,
            type="primary",
            icon=":material/image_search:",
            **identity.only_for(role_for("ready_made"), HELP),
            key="find-similar",
        ):
            state.note(state.AWAITED, (catalogue, job.id if job else ""))
            publish_question.submit(KIND, ReadyMadeRequest(catalogue), catalogue)
        publish_question.show(KIND)
    panel.show_latest(KIND, page="catalogue")


def _go_on(job: Job) -> None:
    """Open the first answer where this session waited for it; the page that shows the job runs anew at its end."""
    catalogue, before = state.noted(state.AWAITED) or ("", "")
    if not job.state.is_finished or job.id == before or job.request.get("catalogue") != catalogue:
        return
    state.forget(state.AWAITED)
    if job.state is JobState.SUCCEEDED and job.result is not None:
        navigation.go("recommend", {state.PRODUCT: str(job.result["product"])})
