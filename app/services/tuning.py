"""What the Tune page needs of sweeps: checks before they start, how they are doing, and what is asked of them.

All of it is read from the folder of a sweep, so that a reload of the page or a restart of the app finds it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.services import common, training_checks
from backend.flow.requests import TuneRequest
from backend.flow.tune import final_request, new_sweep_name
from backend.tuning import checks, saved_spaces
from backend.tuning.budget import remaining_s
from backend.tuning.folder import SweepFolder, list_sweeps
from backend.tuning.records import TrialState, best_of
from backend.tuning.report import comparison, export, summary_of

if TYPE_CHECKING:
    from typing import Any

    from backend.files.edited import Edition
    from backend.flow.requests import TrainRequest
    from backend.jobs.store import Job
    from backend.tuning.checks import SweepCheck
    from backend.tuning.plan import Budget, SweepPlan
    from backend.tuning.records import SweepStatus, TrialRecord
    from backend.tuning.report import Format
    from backend.tuning.space import Space

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep as it is now.

    Attributes:
        is_running: Whether a process runs it.
        job: The job that runs it, where it is one.
        is_pausing: Whether no further trial is begun.
    """

    name: str
    plan: SweepPlan
    status: SweepStatus
    trials: tuple[TrialRecord, ...]
    is_running: bool
    is_pausing: bool
    job: Job | None

    @property
    def best(self) -> TrialRecord | None:
        """The best trial that has ended."""
        return best_of(list(self.trials))

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return sum(trial.state.is_finished for trial in self.trials)

    @property
    def running(self) -> int:
        """Trials that run now."""
        return sum(trial.state is TrialState.RUNNING for trial in self.trials) if self.is_running else 0

    @property
    def remaining_s(self) -> float | None:
        """About how long it still takes; None while that cannot be said."""
        at_a_time = self.status.parallelism or 1
        return remaining_s(self.plan.budget, self.trials, parallelism=at_a_time, spent_s=self.status.spent_s)


def names() -> list[str]:
    """Names of all sweeps, the newest first."""
    return [folder.name for folder in list_sweeps(common.settings().sweeps_dir)]


def sweep(name: str) -> Sweep:
    """One sweep as it is now.

    Raises:
        ConfigurationError: There is no such name.
    """
    folder = _folder(name)
    return Sweep(
        name,
        folder.plan(),
        folder.status(),
        tuple(folder.trials()),
        folder.is_running,
        folder.is_to_pause,
        job_of(name),
    )


def job_of(name: str) -> Job | None:
    """The job that runs a sweep; None where none does, or a command."""
    jobs = common.jobs().list(active=True, kind="tune")
    return next((job for job in jobs if job.request.get("plan", {}).get("name") == name), None)


# ------------------------------------------------------------------------------------------------- before it starts


def slots() -> int:
    """Trials that can run at a time; 0 for a cluster, which must be asked."""
    return checks.slots_of(common.settings().spark_master, training_checks.machine().cores)


def check(plan: SweepPlan) -> SweepCheck:
    """Check a sweep against its catalogue and this machine; nothing is started for it."""
    counts = common.summary(plan.catalogue, plan.version).by_label
    named = plan if plan.name else replace(plan, name="unnamed")
    found = checks.check_sweep(named, counts, training_checks.machine(), slots=slots())
    taken = _folder(plan.name).taken() if plan.name and not found.problems else None
    return replace(found, problems=(*found.problems, taken)) if taken is not None else found


def examples(plan: SweepPlan) -> list[dict[str, Any]]:
    """Values that a sweep might try."""
    return checks.examples(plan, EXAMPLES)


def spaces() -> list[str]:
    """Names of the spaces that were saved."""
    return saved_spaces.saved_spaces(common.settings().spaces_dir)


def space(name: str) -> Space:
    """A space that was saved.

    Raises:
        ConfigurationError: There is no such name, or it is damaged.
    """
    return saved_spaces.load_space(common.settings().spaces_dir, name)


def space_edition(name: str) -> Edition | None:
    """The newest version of a space; None where there is none of that name."""
    return saved_spaces.newest_edition(common.settings().spaces_dir, name)


def save_space(name: str, found: Space, base: int) -> int:
    """Keep a space under a name, made of a version of it; returns the new version.

    Raises:
        ConfigurationError: The name or the space cannot be used.
        ChangedMeanwhile: Another person saved it since that version.
    """
    return saved_spaces.save_space(common.settings().spaces_dir, name, found, base=base).version


# ------------------------------------------------------------------------------------------------- what is asked of it


def request(plan: SweepPlan) -> TuneRequest:
    """Ask for a sweep under a name that is known from the start; the very same one, under way, keeps its name."""
    for job in common.jobs().list(active=True, kind="tune"):
        name = job.request.get("plan", {}).get("name", "")
        if not plan.name and job.request.get("plan") == replace(plan, name=name).as_dict():
            return TuneRequest(replace(plan, name=name))
    return TuneRequest(plan if plan.name else replace(plan, name=new_sweep_name(plan.catalogue)))


def resumption(found: Sweep, budget: Budget) -> TuneRequest:
    """Ask for the rest of a sweep, with the budget that is now in force."""
    return TuneRequest(replace(found.plan, budget=budget), resume=True)


def pause(found: Sweep) -> None:
    """Have no further trial begun."""
    _folder(found.name).ask_to_pause()


def cancel(found: Sweep) -> None:
    """End all trials that run."""
    if found.job is not None:
        common.jobs().cancel(found.job.id)
    else:
        _folder(found.name).cancel()


def final(found: Sweep, number: int) -> TrainRequest:
    """Ask for a model trained with the values of a trial.

    Raises:
        ConfigurationError: The trial came to no figure.
    """
    return final_request(common.settings(), found.name, number)


def exported(name: str, form: Format) -> str:
    """The trials of a sweep as a file."""
    return export(_folder(name), form)


def compared(first: str, second: str) -> dict[str, Any]:
    """Two sweeps side by side."""
    return comparison(summary_of(_folder(first)), summary_of(_folder(second)))


def _folder(name: str) -> SweepFolder:
    return SweepFolder(common.settings().sweeps_dir / name)
