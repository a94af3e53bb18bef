"""All jobs as a table that keeps itself up to date, and the selected one in full below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, state, words
from app.components.jobs import panel
from app.services import common
from backend.jobs.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.jobs.store import Job

SHOWN = 100
POLL_S = 1.0


def show() -> None:
    """Show list and selected job, polling while any job has not ended."""
    if not common.jobs().list(1):
        st.info(
            "Nothing has run yet. Loading products, training and deploying will show up here.",
            icon=":material/list_alt:",
        )
        return
    is_live = bool(common.jobs().list(1, active=True))
    st.fragment(_list_and_panel, run_every=POLL_S if is_live else None)(is_live=is_live)


def _list_and_panel(*, is_live: bool) -> None:
    with notices.guarded():
        jobs = common.jobs().list(SHOWN)
        shown = state.job() or jobs[0].id
        _table(jobs, shown)
        panel.panel(shown)
        if is_live and all(job.state.is_finished for job in jobs):
            st.rerun()  # nothing is left to poll for


def _table(jobs: Sequence[Job], shown: str) -> None:
    cells = [_row(job) for job in jobs]
    columns = {name: [row[name] for row in cells] for name in cells[0]}
    ids = [job.id for job in jobs]
    key = f"jobs-from-{ids[0]}"  # rows are selected by position: another first job makes another table

    def selected() -> None:
        row = state.selected_row(key)
        if row is not None:
            state.select_job(ids[row])

    st.dataframe(
        columns,
        hide_index=True,
        column_config={
            "Progress": st.column_config.ProgressColumn(min_value=0, max_value=100, format="%d %%"),
            "Submitted": st.column_config.DatetimeColumn(format="D MMM, HH:mm:ss"),
        },
        key=key,
        on_select=selected,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [ids.index(shown)] if shown in ids else []}},
        alt="Jobs, newest first",
    )


def _row(job: Job) -> dict[str, Any]:
    title, _, _ = panel.STATES[job.state]
    spent = (job.finished_at - job.started_at) if job.finished_at and job.started_at else None
    return {
        "Job": panel.kind_title(job),
        "State": "Stopping" if job.is_stopping else title,
        "Progress": 100.0 if job.state is JobState.SUCCEEDED else job.progress.fraction * 100,
        "Step": _step(job),
        "Submitted": words.local(job.created_at),
        "By": job.asked_by.name if job.asked_by else "",
        "Took": words.duration(spent) if spent is not None else "",
        "Id": job.id,
    }


def _step(job: Job) -> str:
    if waiting := common.jobs().waits(job):
        return waiting.said(panel.named)
    return "" if job.state.is_finished else job.progress.note
