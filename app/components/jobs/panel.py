"""One job, live: state, progress with rate and remaining time, charts, log, and what can be done about it.

The panel polls the job store inside a fragment, so that the page around it is left alone; when the job ends the page
is run once more, because what it lists may have changed. Which job is shown comes from the store: a reload finds it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import identity, notices, state, words
from app.components.jobs import result as job_result
from app.components.jobs.kinds import CHECKING, KINDS
from app.components.shared import charts
from app.components.train import workers
from app.services import catalogue, common, training
from backend.errors import AccessDenied
from backend.flow.roles import role_for
from backend.jobs.states import JobState

if TYPE_CHECKING:
    from backend.flow.requests import Request
    from backend.jobs.queue import Waiting
    from backend.jobs.store import Job

POLL_S = 1.0
LOG_LINES = 200
RECENT_S = 900.0  # how long a page shows a job that has ended; the Jobs page shows it for ever
STATES: dict[JobState, tuple[str, str, Any]] = {
    JobState.QUEUED: ("Waiting", ":material/hourglass_empty:", "gray"),
    JobState.RUNNING: ("Running", ":material/play_arrow:", "blue"),
    JobState.SUCCEEDED: ("Done", ":material/check:", "green"),
    JobState.FAILED: ("Failed", ":material/error:", "red"),
    JobState.CANCELLED: ("Cancelled", ":material/cancel:", "gray"),
    JobState.LOST: ("Lost", ":material/link_off:", "orange"),
}
LOSSES = {"loss": "Loss"}
SCORES = {
    "val.precision_at_1": "Validation precision@1",
    "val.map_at_r": "Validation MAP@R",
}


def submit(request: Request) -> None:
    """Start a job and say so, or that the same one is already under way, or that it is not for whoever asks."""
    earlier = {job.id for job in common.jobs().list(active=True)}
    try:
        job = common.jobs().submit(request)
    except AccessDenied as error:  # a toast outlives the rerun, and the page keeps what was entered
        st.toast(notices.told(error), icon=":material/block:")
        return
    if job.id in earlier:
        st.toast("The same job is already running.", icon=":material/info:")
    elif common.jobs().waits(job):
        st.toast("Queued. It starts by itself; you can close this page.", icon=":material/hourglass_empty:")
    elif not job.state.is_finished:
        st.toast("Started. It keeps running if you close this page.", icon=":material/check:")


def show_latest(*kinds: str, page: str = "") -> None:
    """Show the newest job of these kinds, wherever it was started, while it runs and for some time after it ended.

    Others that still run are shown, too. ``page`` is the page that shows them: its own links are left out.
    """
    found = [job for kind in kinds for job in common.jobs().list(limit=1, kind=kind)]
    newest = max(found, key=lambda job: job.created_at, default=None)
    for job in sorted(found, key=lambda job: -job.created_at):
        if job.finished_at is None or (job is newest and is_fresh(job)):
            show(job.id, page=page)


def is_fresh(job: Job) -> bool:
    """Whether a job ended a short time ago, and the user has not put its result away."""
    return job.finished_at is not None and time.time() - job.finished_at < RECENT_S and not state.noted(_dismissed(job))


def _dismissed(job: Job) -> str:
    return f"dismissed-{job.id}"


def show(job_id: str, *, page: str = "") -> None:
    """Show one job, polling while it has not ended."""
    is_live = not common.jobs().get(job_id).state.is_finished
    st.fragment(_polled, run_every=POLL_S if is_live else None)(job_id, is_live=is_live, page=page)


def _polled(job_id: str, *, is_live: bool, page: str) -> None:
    with notices.guarded():
        if is_live:
            rerun_if_ended(job_id)
        panel(job_id, page=page, may_dismiss=True)


def rerun_if_ended(job_id: str) -> None:
    """Run the page once more when a job has ended: what it lists may have changed."""
    job = common.jobs().get(job_id)
    if not job.state.is_finished:
        return
    catalogue.look_again()
    result = job.result or {}
    if job.kind in {"catalogue", "commit", "renew"} and result.get("catalogue") and not result.get("staged"):
        state.note(state.LOADED, result["catalogue"])
    st.rerun()


def panel(job_id: str, *, page: str = "", may_dismiss: bool = False) -> None:
    """Show one job as it is now; for a caller that polls by itself. What may be dismissed goes for this session."""
    job = common.jobs().get(job_id)
    with st.container(border=True, key=f"job-{job_id}"):
        _heading(job, may_dismiss=may_dismiss and job.state.is_finished)
        if waiting := common.jobs().waits(job):
            _waiting(job, waiting)
        elif not job.state.is_finished:
            _progress(job)
        elif job.error:
            st.error(notices.sentence(job.error.partition("\n")[0], job.next_step), icon=":material/error:")
        elif job.result is not None:
            job_result.show(job.kind, job.result, page=page)
        if job.kind == "train":
            workers.show(job)
        _curves(job)
        _log(job)


def kind_title(job: Job) -> str:
    """Say what a job does."""
    if job.kind == "catalogue" and job.request.get("check_only"):
        return CHECKING
    return KINDS[job.kind].title if job.kind in KINDS else job.kind


def _heading(job: Job, *, may_dismiss: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        title, icon, colour = STATES[job.state]
        st.markdown(f"**{words.plain(kind_title(job))}**", width="content")
        st.badge("Stopping" if job.is_stopping else title, icon=icon, color=colour)
        st.caption(words.plain(_times(job)), width="stretch")
        if not job.state.is_finished:
            stopped = st.button(
                "Cancel",
                key=f"cancel-{job.id}",
                icon=":material/stop:",
                disabled=job.is_stopping or not identity.may(role_for(job.kind)),
                help=identity.lacking(role_for(job.kind)),
            )
            if stopped:
                common.jobs().cancel(job.id)
                st.rerun(scope="fragment")
        elif job.state is not JobState.SUCCEEDED and st.button(
            "Resume" if training.can_be_resumed(job) else "Try again",
            key=f"retry-{job.id}",
            icon=":material/refresh:",
            **identity.only_for(role_for(job.kind)),
        ):
            again = common.jobs().retry(job.id)
            if state.job():
                state.select_job(again.id)
            st.rerun()
        if may_dismiss:
            show_dismiss(job)


def show_dismiss(job: Job) -> None:
    """Show the button that puts a finished job away."""
    away = "Hides this notice; the job stays on the Jobs page."
    if st.button("Dismiss", key=f"dismiss-{job.id}", icon=":material/close:", type="tertiary", help=away):
        state.note(_dismissed(job), about=True)
        st.rerun()


def _times(job: Job) -> str:
    if job.started_at is None:
        return f"submitted {words.ago(job.created_at)}"
    spent = (job.finished_at or time.time()) - job.started_at
    took = "took" if job.state.is_finished else "for"
    return f"started {words.ago(job.started_at)}, {took} {words.duration(spent)}"


def progress_text(job: Job) -> str:
    """Say how far a job is: the step, units done, rate, and the time that remains, as far as they are known."""
    progress = job.progress
    if progress.total <= 0:
        return progress.note or "Starting"
    is_share = progress.unit == "%"
    figures = (
        words.percent(progress.fraction)
        if is_share or progress.total <= 1
        else f"{progress.done:,.0f} of {progress.total:,.0f} {progress.unit}".rstrip()
    )
    rate = f"{progress.rate:,.0f} a second" if progress.rate and progress.rate >= 1 and not is_share else ""
    left = f"about {words.duration(max(progress.eta_s, 1.0))} left" if progress.eta_s is not None else ""
    return " · ".join(part for part in (progress.note, figures, rate, left) if part)


def named(job: Job) -> str:
    """Return a job's title with what it is about: Training autumn."""
    about = job.request.get("name") or job.request.get("plan", {}).get("name") or job.request.get("model")
    return " ".join(filter(None, (kind_title(job), about or job.request.get("catalogue"))))


def _waiting(job: Job, waiting: Waiting) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(words.plain(waiting.said(named)), width="stretch")
        if waiting.place > 1 and st.button("Start next", key=f"next-{job.id}", icon=":material/vertical_align_top:"):
            common.jobs().move_to_front(job.id)
            st.rerun()


def _progress(job: Job) -> None:
    st.progress(job.progress.fraction, text=words.plain(progress_text(job)))


def _curves(job: Job) -> None:
    points = common.jobs().metrics(job.id)
    if not points:
        return
    left, right = st.columns(2)
    with left:
        figure = charts.curves(points, LOSSES, title="Loss", share=False)
        charts.show(figure, key=f"loss-{job.id}", alt="The loss over the steps of training")
    with right:
        figure = charts.curves(points, SCORES, title="Validation", share=True)
        charts.show(figure, key=f"scores-{job.id}", alt="Validation precision@1 and MAP@R over the epochs")


def _log(job: Job) -> None:
    with st.expander("Log", key=f"log-{job.id}"):
        if lines := (job.error or "").partition("\n")[2]:  # of a log, which are no sentence
            st.code(lines, language=None)
        st.code(common.jobs().log_tail(job.id, LOG_LINES) or "Nothing yet.", language=None, height=260)
