"""``jobs``: look at and steer background jobs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.text import as_lines, indented, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.cli.running import Result
    from backend.jobs.runner import JobRunner
    from backend.settings import Settings

LISTED, LOG_LINES, SAID = 50, 20, 80
_TIMES = ("created_at", "started_at", "finished_at", "cancel_requested_at")


def add_jobs(commands: Any, command: Callable[..., Any]) -> None:
    """Add the group to the parser; ``command`` adds one command to a group."""
    jobs = commands.add_parser("jobs", help="list and control background jobs")
    actions = jobs.add_subparsers(required=True, metavar="ACTION")
    command(actions, "list", "List the jobs, newest first.", jobs_list).set_defaults(show=list_as_lines)
    for name, help_text, handler in (
        ("show", "Show one job with the end of its log.", jobs_show),
        ("first", "Give a waiting job the next turn.", jobs_first),
        ("cancel", "Cancel a job and everything it started.", jobs_cancel),
        ("retry", "Run the request of a finished job again.", jobs_retry),
    ):
        one = command(actions, name, help_text, handler)
        one.add_argument("job_id", metavar="JOB")
        one.set_defaults(show=job_as_lines)


def jobs_list(_options: argparse.Namespace, settings: Settings) -> Result:
    """``jobs list``."""
    from backend.jobs.runner import JobRunner

    runner = JobRunner(settings)
    return {"jobs": [_with_place(job, runner) for job in runner.list(limit=LISTED)]}


def jobs_show(options: argparse.Namespace, settings: Settings) -> Result:
    """``jobs show``."""
    from backend.jobs.runner import JobRunner

    runner = JobRunner(settings)
    return {**_with_place(runner.get(options.job_id), runner), "log": runner.log_tail(options.job_id, lines=LOG_LINES)}


def jobs_first(options: argparse.Namespace, settings: Settings) -> Result:
    """``jobs first``."""
    from backend.jobs.runner import JobRunner

    runner = JobRunner(settings)
    runner.move_to_front(options.job_id)
    return _with_place(runner.get(options.job_id), runner)


def jobs_cancel(options: argparse.Namespace, settings: Settings) -> Result:
    """``jobs cancel``: returns once the job has ended."""
    from backend.jobs.runner import JobRunner

    runner = JobRunner(settings)
    runner.cancel(options.job_id)
    return as_values(runner.wait(options.job_id, timeout_s=settings.job_grace_s + 15))


def jobs_retry(options: argparse.Namespace, settings: Settings) -> Result:
    """``jobs retry``."""
    from backend.jobs.runner import JobRunner

    return as_values(JobRunner(settings).retry(options.job_id))


def list_as_lines(result: Result) -> str:
    """Show the jobs to a person: a line each, with what it says of itself."""
    rows = [
        {
            "id": job["id"],
            "job": job["kind"],
            "state": job["state"].lower(),
            "submitted (UTC)": _moment(job["created_at"]),
            "took": _took(job),
            "message": _cut(_says(job)),
        }
        for job in result["jobs"]
    ]
    return table(rows) if rows else "There is no job yet."


def job_as_lines(result: Result) -> str:
    """Show a job to a person: its state, what was requested, what came of it, and the end of its log."""
    times = {name: _moment(result[name]) for name in _TIMES if result[name] is not None}
    by = {"submitted by": result["asked_by"]} if result["asked_by"] else {}
    head = {
        "id": result["id"],
        "job": result["kind"],
        "state": result["state"].lower(),
        **by,
        **times,
        "took": _took(result),
    }
    parts = [as_lines(head), _block("request", as_lines(result["request"]))]
    if says := _says(result):
        parts.append(f"message: {says}")
    if result["result"]:
        parts.append(_block("result", as_lines(result["result"])))
    if result.get("log"):
        parts.append(_block(f"log, complete in {result['log_path']}", result["log"]))
    return "\n".join(parts)


def _says(job: Result) -> str:
    """What went wrong and what to do, or how far it is."""
    if job["error"]:
        return f"{job['error']} {job['next_step']}".strip()
    if job["finished_at"] is not None or job["started_at"] is None:
        return str(job.get("waits", ""))
    at = job["progress"]
    return f"{at['done'] / at['total']:.0%} {at['note']}".strip() if at["total"] else str(at["note"])


def _took(job: Result) -> str:
    """Seconds from start to end, or until the last sign of life."""
    end = job["finished_at"] or job["heartbeat_at"]
    return "" if job["started_at"] is None or end is None else f"{end - job['started_at']:,.0f} s"


def _moment(epoch_s: float) -> str:
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%d %H:%M:%S}"


def _cut(text: str) -> str:
    return text if len(text) <= SAID else f"{text[: SAID - 1]}…"


def _block(title: str, text: str) -> str:
    return "\n".join([f"{title}:", *indented(text)])


def _with_place(job: Any, runner: JobRunner) -> Result:
    """Return a job as JSON values, with ``waits``: why it waits for its turn; empty if it does not."""
    waiting = runner.waits(job)
    return {**as_values(job), "waits": waiting.said(lambda one: f"{one.kind} {one.id}") if waiting else ""}


def as_values(job: Any) -> Result:
    """Return a job as JSON values."""
    raw = asdict(job)
    raw["asked_by"] = job.asked_by.name if job.asked_by else ""
    return {name: str(value) if isinstance(value, Path) else value for name, value in raw.items()}
