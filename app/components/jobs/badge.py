"""A job on a page that is about something else: one line with its state and a link, and nothing once it went well."""

from __future__ import annotations

import streamlit as st

from app import navigation, notices, state, words
from app.components.jobs import panel
from app.services import common
from backend.jobs.states import JobState


def show_latest(kind: str, *, running: str, failed: str) -> None:
    """Show the newest job of a kind while it runs, and for some time after it failed; in these words."""
    job = next(iter(common.jobs().list(limit=1, kind=kind)), None)
    if job is None:
        return
    is_live = not job.state.is_finished
    if is_live or (job.state in {JobState.FAILED, JobState.LOST} and panel.is_fresh(job)):
        says = running if is_live else failed
        st.fragment(_line, run_every=panel.POLL_S if is_live else None)(job.id, says, is_live=is_live)


def _line(job_id: str, says: str, *, is_live: bool) -> None:
    with notices.guarded():
        if is_live:
            panel.rerun_if_ended(job_id)
        job = common.jobs().get(job_id)
        with st.container(horizontal=True, vertical_alignment="center", key=f"badge-{job_id}"):
            far = f", {words.percent(job.progress.fraction)}" if is_live and job.progress.total > 0 else ""
            icon = ":material/sync:" if is_live else ":material/error:"
            st.badge(words.plain(says) + far, icon=icon, color="blue" if is_live else "red")
            navigation.link("jobs", "See progress" if is_live else "See why", {state.JOB: job_id})
            if not is_live:
                panel.show_dismiss(job)
