"""Sweeps in MLflow: a parent run, and a child for every trial with its parameters, its metrics by epoch, and its state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backend.registry.runs.open_runs import PARENT_TAG, hold_run
from backend.registry.runs.tracking import OUR_VERSION, ensure_experiment, reopened
from backend.registry.store import open_store
from backend.tuning.records import TrialState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from backend.registry.runs.open_runs import OpenRun
    from backend.settings import Settings
    from backend.training.tracking import RunStatus
    from backend.tuning.plan import SweepPlan
    from backend.tuning.records import TrialRecord

_STATUS: dict[TrialState, RunStatus] = {
    TrialState.DONE: "FINISHED",
    TrialState.HALTED: "KILLED",
    TrialState.FAILED: "FAILED",
}


class MlflowSweepTracker:
    """Writes sweeps into the tracking store of the settings; implements ``tuning.ports.SweepTracker``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: OpenRun | None = None

    def begin(self, plan: SweepPlan, *, run_id: str) -> str:
        """Open the parent run in the experiment named after the catalogue, or the one of that id again.

        Raises:
            RegistryError: The store refuses.
        """
        with open_store(self._settings) as client:
            self._open = reopened(client, self._settings, run_id, {}, {})
            if self._open is not None:
                return run_id
            self._open = hold_run(self._settings)
            experiment = ensure_experiment(client, self._settings, plan.catalogue)
            tags = {
                "sweep": plan.name,
                "catalogue": plan.catalogue,
                "catalogue_version": str(plan.version),
                "objective": plan.objective.sentence(),
                **OUR_VERSION,
                **self._open.tags,
            }
            run = client.create_run(experiment, run_name=plan.name, tags=tags)
            client.log_batch(run.info.run_id, params=_params({**_flat(plan), **_spaces(plan)}))
            return str(run.info.run_id)

    def trial(self, plan: SweepPlan, record: TrialRecord, *, parent: str) -> str:
        """Keep a finished trial as a child of the parent run.

        Raises:
            RegistryError: The store refuses.
        """
        with open_store(self._settings) as client:
            experiment = ensure_experiment(client, self._settings, plan.catalogue)
            tags = {
                **OUR_VERSION,
                PARENT_TAG: parent,
                "sweep": plan.name,
                "trial": str(record.number),
                "state": str(record.state),
                **({"reason": record.reason} if record.reason else {}),
            }
            name = f"{plan.name} {record.number:03d}"
            run = client.create_run(experiment, run_name=name, start_time=_ms(record.started_at), tags=tags)
            config = plan.config_of(record.number, record.values)
            client.log_batch(run.info.run_id, params=_params(config.as_dict()), metrics=_metrics(record))
            client.set_terminated(run.info.run_id, status=_STATUS[record.state], end_time=_ms(record.finished_at))
            return str(run.info.run_id)

    def end(self, run_id: str, *, status: RunStatus, best: TrialRecord | None) -> None:
        """Close the parent run with the figure of its best trial.

        Raises:
            RegistryError: The store refuses.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with open_store(self._settings) as client:
            if best is not None and best.value is not None:
                client.log_batch(run_id, metrics=[Metric("best.value", best.value, now, best.number)])
                client.set_tag(run_id, "best.trial", str(best.number))
            client.set_terminated(run_id, status=status)
        if self._open:
            self._open.closed()


def delete_runs(settings: Settings, run_ids: Iterable[str]) -> int:
    """Move runs to MLflow's trash, from where its own ``gc`` removes them; returns how many were there.

    Raises:
        RegistryError: The store refuses.
    """
    found, wanted = 0, [run_id for run_id in run_ids if run_id]
    if not wanted:
        return 0
    with open_store(settings) as client:
        from mlflow.exceptions import MlflowException

        for run_id in wanted:
            try:
                client.delete_run(run_id)
            except MlflowException as error:
                if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    raise
                continue  # removed before, or kept in another store
            found += 1
    return found


def _flat(plan: SweepPlan) -> dict[str, Any]:
    raw = plan.as_dict()
    named = {name: raw[name] for name in ("catalogue", "version", "algorithm", "engine", "seed")}
    parts = {f"{part}.{name}": value for part in ("objective", "budget") for name, value in raw[part].items()}
    return {**named, **parts}


def _spaces(plan: SweepPlan) -> dict[str, Any]:
    return {f"space.{name}": dimension for name, dimension in plan.space.as_dict().items()}


def _params(values: dict[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, str(value)) for name, value in values.items()]


def _metrics(record: TrialRecord) -> list[Any]:
    from mlflow.entities import Metric

    found = []
    for figures in record.epochs:
        moment = _ms(record.started_at + figures.seconds)
        series = {"loss": figures.loss, "value": figures.value, **figures.metrics}
        found += [Metric(name, value, moment, figures.epoch) for name, value in series.items()]
    if record.value is not None:
        found.append(Metric("best.value", record.value, _ms(record.finished_at), record.best_epoch))
    return found


def _ms(seconds: float) -> int:
    return int((seconds or time.time()) * 1000)
