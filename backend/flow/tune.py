"""The step ``tune``, from its request to what a sweep found; and one of its trials again, alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from backend.errors import ConfigurationError
from backend.tuning.folder import SweepFolder

if TYPE_CHECKING:
    from backend.flow.requests import TrainRequest, TuneRequest
    from backend.progress import Progress
    from backend.settings import Settings
    from backend.training.runtime import Device
    from backend.tuning.plan import SweepPlan
    from backend.tuning.records import EpochFigures, SweepStatus
    from backend.tuning.trial import Surroundings

CLOSE = 1e-6  # figures are shares of queries; a bit of another kind of processor may differ


def tune_step(request: TuneRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run a sweep, or go on with one; a request that was carried out in part is taken up where it ended."""
    from backend.tuning.sweep import result_of

    plan = request.plan if request.plan.name else replace(request.plan, name=new_sweep_name(request.plan.catalogue))
    request = replace(request, plan=plan)
    if request.resume:
        folder = sweep_folder(settings, plan.name)
    else:
        plan.check()
        folder = SweepFolder(settings.sweeps_dir / plan.name)
    with folder.held(progress):
        folder = (_resumed if request.resume else _begun)(request, settings)
        plan = folder.plan()
        status = (_here if plan.engine == "serial" else _on_spark)(folder, settings, progress)
        return result_of(folder, status)


def new_sweep_name(catalogue: str) -> str:
    """Name a sweep after its catalogue and the time in UTC."""
    return f"{catalogue}-sweep-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def sweep_folder(settings: Settings, name: str) -> SweepFolder:
    """Return the folder of a sweep that exists.

    Raises:
        ConfigurationError: There is no such name.
    """
    folder = SweepFolder(settings.sweeps_dir / name)
    if not name or folder.path.parent != settings.sweeps_dir:
        raise ConfigurationError(f"{name!r} is not the name of a sweep.", next_step="`tune list` lists them.")
    folder.plan()
    return folder


def final_request(settings: Settings, name: str, number: int, *, model: str = "") -> TrainRequest:
    """Ask for the training of a model with the values of a trial; its manifest will name sweep and trial.

    Raises:
        ConfigurationError: There is no such trial, or it came to no figure.
    """
    from backend.flow.requests import TrainRequest
    from backend.tuning.records import best_of

    folder = sweep_folder(settings, name)
    plan = folder.plan()
    record = folder.trial(number) if number else best_of(folder.trials())
    if record is None or not record.state.has_value:
        raise ConfigurationError(
            f"The sweep {name} has no trial with a figure yet." if record is None else f"Trial {number} has no figure.",
            next_step="Choose a trial that is done.",
        )
    return TrainRequest(
        plan.catalogue,
        plan.version,
        plan.config_of(record.number, record.values),
        model or f"{name}-trial-{record.number}-{datetime.now(UTC):%m%d-%H%M%S}",
        origin={"sweep": name, "trial": record.number},
    )


def trial_again(settings: Settings, name: str, number: int, progress: Progress) -> dict[str, Any]:
    """Run one trial again in this process, to the epoch that it came to; the sweep's records stay as they are."""
    from backend.tuning.trial import Halted, train_trial

    folder = sweep_folder(settings, name)
    plan, record = folder.plan(), folder.trial(number)
    came: list[EpochFigures] = []

    def keep(figures: EpochFigures) -> None:
        came.append(figures)
        if record.state.has_value and figures.epoch >= len(record.epochs):
            raise Halted

    found = train_trial(plan, number, record.values, _surroundings(plan, settings), keep=keep, progress=progress)
    return {
        "sweep": name,
        "trial": number,
        "values": record.values,
        "value": found.value,
        "recorded": record.value,
        "same": record.value is not None and abs(found.value - record.value) <= CLOSE,
        "epochs": [figures.value for figures in came],
    }


def _begun(request: TuneRequest, settings: Settings) -> SweepFolder:
    """Make the folder of a new sweep, once everything has been checked; the same request again finds it."""
    from backend.training.ranks.preflight import this_machine
    from backend.tuning.checks import check_sweep, slots_of
    from backend.tuning.snapshot import open_for_choice

    asked = request.plan
    snapshot = open_for_choice(settings.catalogues_dir, asked.catalogue, asked.version or None)
    plan = replace(asked, version=snapshot.version)
    machine = this_machine(settings.home, threads=settings.threads, device=settings.device)
    slots = slots_of(settings.spark_master, machine.cores)
    check_sweep(plan, snapshot.summary().by_label, machine, slots=slots).raise_first()
    folder = SweepFolder(settings.sweeps_dir / plan.name)
    if folder.exists and folder.plan() == plan:
        return folder
    folder.create(plan)
    return folder


def _resumed(request: TuneRequest, settings: Settings) -> SweepFolder:
    folder = sweep_folder(settings, request.plan.name)
    plan = replace(folder.plan(), budget=request.plan.budget)
    plan.check()
    folder.write_plan(plan)
    return folder


def _surroundings(plan: SweepPlan, settings: Settings) -> Surroundings:
    from backend.feeding.content_cache import cache_folder
    from backend.tuning.objective import held_out
    from backend.tuning.snapshot import open_for_choice
    from backend.tuning.trial import Surroundings

    counts = open_for_choice(settings.catalogues_dir, plan.catalogue, plan.version).summary().by_label
    unseen = held_out(plan.objective, counts, seed=plan.seed)
    place, device = str(settings.catalogues_dir.absolute()), cast("Device", settings.device)
    return Surroundings(place, 1, device, unseen, cache_folder(settings))


def _here(folder: SweepFolder, settings: Settings, progress: Progress) -> SweepStatus:
    from backend.registry.runs.sweep_tracking import MlflowSweepTracker
    from backend.tuning.engines import SerialEngine
    from backend.tuning.sweep import run_sweep

    around = _surroundings(folder.plan(), settings)
    return run_sweep(folder, SerialEngine(), around, tracker=MlflowSweepTracker(settings), progress=progress)


def _on_spark(folder: SweepFolder, settings: Settings, progress: Progress) -> SweepStatus:
    from backend.registry.runs.sweep_tracking import MlflowSweepTracker
    from backend.spark.session import open_spark
    from backend.tuning.engines import SparkEngine
    from backend.tuning.sweep import run_sweep

    around = _surroundings(folder.plan(), settings)
    progress.report(0, 1, note="starting Spark")
    with open_spark(settings, app_name=f"Twinset tune {folder.name}") as spark:
        engine = SparkEngine(spark, settings.device)
        tracker = MlflowSweepTracker(settings)
        return run_sweep(folder, engine, around, tracker=tracker, progress=progress, log_level=settings.log_level)
