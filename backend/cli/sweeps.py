"""What the commands of ``tune`` do to a sweep that exists, and what they show of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.console import ConsoleProgress
from backend.cli.running import carry_out
from backend.files.storage import write_export
from backend.flow.requests import DeleteRequest
from backend.flow.tune import final_request, new_sweep_name, sweep_folder, trial_again
from backend.tuning.folder import list_sweeps
from backend.tuning.report import comparison, export, row_of, summary_of
from backend.tuning.saved_spaces import delete_space, load_space, saved_spaces

if TYPE_CHECKING:
    import argparse

    from backend.settings import Settings
    from backend.tuning.plan import SweepPlan

Result = dict[str, Any]
DRAWN = 5


def named(plan: SweepPlan) -> SweepPlan:
    """Give a sweep a name from the start, so that it can be steered."""
    return plan if plan.name else replace(plan, name=new_sweep_name(plan.catalogue))


def plan_named(name: str, settings: Settings) -> SweepPlan:
    """Return what a sweep is to do."""
    return sweep_folder(settings, name).plan()


def drawn(plan: SweepPlan, settings: Settings) -> Result:
    """Check a plan, and draw some values.

    Raises:
        ConfigurationError: The sweep could not be started.
    """
    from backend.training.ranks.preflight import this_machine
    from backend.tuning.checks import check_sweep, examples, slots_of
    from backend.tuning.snapshot import open_for_choice

    snapshot = open_for_choice(settings.catalogues_dir, plan.catalogue, plan.version or None)
    machine = this_machine(settings.home, threads=settings.threads, device=settings.device)
    slots = slots_of(settings.spark_master, machine.cores)
    found = check_sweep(plan, snapshot.summary().by_label, machine, slots=slots)
    found.raise_first()
    return {
        "objective": plan.objective.sentence(),
        "space": plan.space.as_dict(),
        "examples": examples(plan, DRAWN),
        "notes": list(found.notes),
        "slots": slots,
        "estimated_seconds": found.seconds,
    }


def list_all(_options: argparse.Namespace, settings: Settings) -> Result:
    """``tune list``."""
    found = []
    for folder in list_sweeps(settings.sweeps_dir):
        summary = summary_of(folder).as_dict()
        shown = ("sweep", "catalogue", "trials", "failed", "best_trial", "best_value", "seconds")
        phase = "running" if folder.is_running else folder.status().phase.replace("running", "interrupted")
        found.append({**{name: summary[name] for name in shown}, "phase": phase})
    return {"sweeps": found}


def show(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune show``."""
    from backend.tuning.importance import importances

    folder = sweep_folder(settings, options.name)
    records, status = folder.trials(), folder.status()
    return {
        **summary_of(folder).as_dict(),
        "phase": "running" if folder.is_running else status.phase.replace("running", "interrupted"),
        "reason": status.reason,
        "importance": importances(folder.plan().space, records),
        "trials": [row_of(record) for record in records],
    }


def pause(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune pause``."""
    folder = sweep_folder(settings, options.name)
    folder.ask_to_pause()
    return {"sweep": folder.name, "pausing": folder.is_running}


def cancel(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune cancel``: also the job that runs it, if one does."""
    from backend.jobs.runner import JobRunner

    folder = sweep_folder(settings, options.name)
    was_running = folder.is_running
    folder.cancel()
    runner = JobRunner(settings)
    jobs = [job.id for job in runner.list(active=True, kind="tune") if _runs(job.request, folder.name)]
    for job_id in jobs:
        runner.cancel(job_id)
    return {"sweep": folder.name, "cancelling": was_running, "jobs": jobs}


def _runs(request: dict[str, Any], name: str) -> bool:
    return bool(request.get("plan", {}).get("name") == name)


def trial(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune trial``."""
    with ConsoleProgress().cancelled_by_signals() as progress:
        return trial_again(settings, options.name, options.number, progress)


def final(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune final``."""
    return carry_out(final_request(settings, options.name, options.number, model=options.model), settings)


def delete(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune delete``."""
    return carry_out(DeleteRequest(sweep=options.name), settings)


def export_trials(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune export``."""
    folder = sweep_folder(settings, options.name)
    path = options.to or Path(f"{folder.name}.{options.format}")
    write_export(path, export(folder, options.format).encode())
    return {"sweep": folder.name, "file": str(path), "trials": len(folder.trials())}


def compare(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune compare``."""
    return comparison(*(summary_of(sweep_folder(settings, name)) for name in (options.first, options.second)))


def list_spaces(_options: argparse.Namespace, settings: Settings) -> Result:
    """``tune spaces``."""
    names = saved_spaces(settings.spaces_dir)
    return {"spaces": [{"space": name, **load_space(settings.spaces_dir, name).as_dict()} for name in names]}


def forget_space(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune forget-space``."""
    delete_space(settings.spaces_dir, options.name)
    return {"spaces": saved_spaces(settings.spaces_dir)}
