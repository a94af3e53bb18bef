"""Trainings on several workers: how many, how each is doing, and what proves them right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import words
from app.components.shared import charts
from app.services import common, training

if TYPE_CHECKING:
    from backend.jobs.store import Job

MOST = 64
_CLAIMS = (
    ("ranks_equal", "Weights equal on all workers, bit for bit"),
    ("disjoint", "No product on two workers"),
    ("covering", "Every product on one worker"),
    ("every_class_everywhere", "Every label on every worker"),
    ("shards_as_planned", "Each worker read exactly its part"),
)


def choose() -> int:
    """Ask how many processes train together."""
    master = common.settings().spark_master
    return int(
        st.number_input(
            "Workers",
            min_value=1,
            max_value=MOST,
            value=1,
            key="workers",
            width=320,
            help="With more than one, each worker trains in its own Spark task on its own part of the products, and "
            f"all train the same model. Spark runs on {words.plain(master)}.",
        )
    )


def show(job: Job) -> None:
    """Show the workers of a training while it runs, and afterwards what proves that they did it right."""
    proof = training.proof(job)
    if proof is not None:
        _proof(proof)
    workers = training.workers(job)
    if workers and (not job.state.is_finished or job.error):
        rows = [_row(worker, has_ended=job.state.is_finished) for worker in workers]
        charts.table(rows, key=f"workers-{job.id}")
        _logs(workers)


def _row(worker: training.Worker, *, has_ended: bool) -> dict[str, Any]:
    state = worker.state
    phase = "gone" if has_ended and state.phase == "working" else state.phase
    done = f"{state.done:,.0f} of {state.total:,.0f} {state.unit}" if state.total else ""
    return {"Worker": state.rank, "State": phase, "Progress": done, "Note": state.note}


def _logs(workers: list[training.Worker]) -> None:
    told = [worker for worker in workers if worker.last_lines]
    if not told:
        return
    with st.expander("Logs of the workers"):
        for worker in told:
            st.caption(f"Worker {worker.state.rank:d}")
            st.code(worker.last_lines, language=None)


def _proof(proof: dict[str, Any]) -> None:
    """Draw the card."""
    with st.container(border=True):
        st.markdown(f"**{proof['workers']:d} workers, one model**")
        with st.container(horizontal=True):
            for name, claim in _CLAIMS:
                if proof[name]:
                    st.badge(claim, icon=":material/check:", color="green")
                else:
                    st.badge(claim, icon=":material/close:", color="red")
        rows = [
            {
                "Worker": rank,
                "Products": rows,
                "Pictures per second": round(rate),
                "Waiting for data": words.percent(wait),
            }
            for rank, (rows, rate, wait) in enumerate(
                zip(proof["rows"], proof["examples_per_second"], proof["waiting_share"], strict=True)
            )
        ]
        charts.table(rows, key=None)
        st.caption(
            f"Each step processes {proof['global_batch']:,} pictures; the first one finished "
            f"{words.duration(proof['first_step_s'])} after the launch. Products were sharded by "
            f"{words.plain(proof['shard_mode'])} and read with {words.plain(proof['reader'])}."
        )
