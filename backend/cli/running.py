"""What each command does: fill a typed request, run it or submit it, return JSON values."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backend.cli.console import ConsoleProgress
from backend.errors import Cancelled, JobError, RegistryError
from backend.flow.requests import DemoRequest, Request

if TYPE_CHECKING:
    import argparse

    from backend.settings import Settings

Result = dict[str, Any]


def carry_out(request: Request, settings: Settings) -> Result:
    """Run a request here, with a bar; Ctrl-C and SIGTERM cancel it. It does not queue, but says what runs beside it."""
    from backend.flow.kinds import run_request
    from backend.jobs.queue import beside
    from backend.jobs.runner import active_jobs

    if running := beside(request.kind, active_jobs(settings)(), settings):
        names = ", ".join(f"{job.kind} {job.id}" for job in running)
        print(f"This runs at the same time as {names}; commands do not wait in the queue.", file=sys.stderr)
    with ConsoleProgress().cancelled_by_signals() as progress:
        return run_request(request, settings, progress, active=active_jobs(settings))


def demo(options: argparse.Namespace, settings: Settings) -> Result:
    """``demo``."""
    return carry_out(DemoRequest(options.source, options.preset), settings)


def doctor(_options: argparse.Namespace, settings: Settings) -> Result:
    """``doctor``."""
    from backend.jobs.readiness import checks

    return {"checks": [asdict(check) for check in checks(settings)]}


def tidy(options: argparse.Namespace, settings: Settings) -> Result:
    """``tidy``."""
    from backend.jobs.tidy_home import tidy as tidy_home

    return tidy_home(settings, dry_run=options.dry_run, cache=options.cache, fetched=options.fetched)


def doctor_as_lines(result: Result) -> str:
    """Show one line for each check, and its fix below where it failed."""
    from backend.machine.doctor import Check, as_text

    lines: list[str] = []
    as_text([Check(**check) for check in result["checks"]], lines.append)
    return "\n".join(lines)


def doctor_status(result: Result) -> int:
    """Exit status of ``doctor``: 0 when everything is ready."""
    return 0 if all(check["ok"] for check in result["checks"]) else 1


def serve(_options: argparse.Namespace, settings: Settings) -> Result:
    """``serve``: until it is told to end."""
    from backend.jobs.alerts.figures import HomeFigures
    from backend.serving.gateway import build_app
    from backend.serving.server import serve as serve_forever

    serve_forever(settings, app=build_app(settings, figures=HomeFigures(settings)), ends_process=True)
    return {"status": 0}


def run(options: argparse.Namespace, settings: Settings) -> Result:
    """``run``: the demo if nothing can be served yet, then all servers until Ctrl-C."""
    from backend.jobs.tending import Tending
    from backend.machine.keeper import run_everything

    if not _has_champion(settings):
        print("There is no model yet, so the demo is prepared first.", file=sys.stderr)
        result = follow(DemoRequest(options.source), settings)
        if result["note"]:
            print(f"\n{result['note']}")
        print(f"{result['model']}: precision@1 {result['precision_at_1']:.3f} on the test split.", flush=True)
    return {"status": run_everything(settings, tend=Tending(settings).look)}


def follow(request: Request, settings: Settings) -> Result:
    """Run a request as a job, so that the Jobs page knows it, and show its progress here; Ctrl-C cancels it.

    Raises:
        Cancelled: It was cancelled, from here or elsewhere.
        JobError: It failed; the message is the job's own.
    """
    from backend.jobs.runner import JobRunner
    from backend.jobs.states import JobState

    runner = JobRunner(settings)
    job = runner.submit(request)
    with ConsoleProgress().cancelled_by_signals() as progress:
        while not (job := runner.get(job.id)).state.is_finished:
            at = job.progress
            waiting = runner.waits(job)
            note = waiting.said(lambda one: f"{one.kind} {one.id}") if waiting else at.note
            progress.report(at.done, at.total or 1, unit=at.unit, note=note)
            if progress.cancelled and job.cancel_requested_at is None:
                runner.cancel(job.id)
            time.sleep(0.2)
    if job.state is JobState.CANCELLED:
        raise Cancelled(
            f"The job {job.id} ({job.kind}) was cancelled.",
            next_step=f"Run `python -m backend jobs retry {job.id}` to start it again.",
        )
    if job.state is not JobState.SUCCEEDED:
        raise JobError(
            job.error or f"The job ended as {job.state}.", next_step=job.next_step or f"Read {job.log_path}."
        )
    return dict(job.result or {})


def _has_champion(settings: Settings) -> bool:
    from backend.registry.fetching import fetch_champion

    try:
        fetch_champion(settings)
    except RegistryError:
        return False
    return True
