"""Runs in MLflow: parameters, tags, metrics by step, and how they ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from backend import __version__
from backend.errors import RegistryError
from backend.registry.runs.open_runs import hold_run
from backend.registry.store import find_run, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient

    from backend.registry.runs.open_runs import OpenRun
    from backend.settings import Settings
    from backend.training.tracking import RunStatus

DEFAULT_EXPERIMENT = "twinset"
OUR_VERSION = {"twinset.version": __version__}  # a tag of everything that is written to MLflow
# What MLflow's own pages look for.
_MIRRORED = {"git_commit": "mlflow.source.git.commit"}
_FROM_PARAMS = {"catalogue": "catalogue.name", "catalogue_version": "catalogue.version", "seed": "seed"}
_LONGEST_PARAM = 6_000


class MlflowTracker:
    """Writes one run at a time into the tracking store of the settings; implements ``training.tracking.Tracker``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run_id = ""
        self._open: OpenRun | None = None

    def start(self, *, name: str, params: Mapping[str, object], tags: Mapping[str, str], run_id: str = "") -> str:
        """Open a run in the experiment named after the catalogue, or the one of that id again, and return its id.

        The catalogue and its version are taken from the tags ``catalogue`` and ``catalogue_version`` or the parameters
        ``catalogue.name`` and ``catalogue.version``, and are tags of the run in any case.

        Raises:
            RegistryError: The store refuses, or the run before has not been finished.
        """
        if self._run_id:
            raise RegistryError("A run is already open.", next_step="Finish it before another is started.")
        texts = {tag: str(params[param]) for tag, param in _FROM_PARAMS.items() if param in params}
        texts |= {key: str(value) for key, value in tags.items()}
        texts |= OUR_VERSION
        texts |= {_MIRRORED[key]: text for key, text in texts.items() if key in _MIRRORED}
        with open_store(self._settings) as client:
            self._open = reopened(client, self._settings, run_id, params, texts)
            if self._open is not None:
                self._run_id = run_id
                return run_id
            self._open = hold_run(self._settings)
            experiment = ensure_experiment(client, self._settings, texts.get("catalogue") or DEFAULT_EXPERIMENT)
            run = client.create_run(experiment, run_name=name, tags={**texts, **self._open.tags})
            self._run_id = str(run.info.run_id)
            client.log_batch(self._run_id, params=_params(params))
        return self._run_id

    def log(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Add points of the run's metrics at a step.

        Raises:
            RegistryError: No run is open, or the store refuses.
        """
        _log(self._settings, self._open_run(), metrics, step)

    def finish(self, *, status: RunStatus) -> None:
        """Close the run.

        Raises:
            RegistryError: No run is open, or the store refuses.
        """
        run_id = self._open_run()
        self._run_id = ""
        with open_store(self._settings) as client:
            client.set_terminated(run_id, status=status)
        if self._open:
            self._open.closed()

    def _open_run(self) -> str:
        if not self._run_id:
            raise RegistryError("No run is open.", next_step="Start one first.")
        return self._run_id


def log_metrics_to_run(settings: Settings, run_id: str, metrics: Mapping[str, float], *, step: int = 0) -> None:
    """Add figures to a run that may have ended; a bundle without a run has nowhere to put them, which is no error.

    Raises:
        RegistryError: The store has no such run, or refuses.
    """
    if run_id:
        _log(settings, run_id, metrics, step)


def ensure_experiment(client: MlflowClient, settings: Settings, name: str) -> str:
    """Return the id of the experiment of that name, made if there is none, with its artifacts where settings say."""
    found = client.get_experiment_by_name(name)
    if found is None:
        if _decided_by_server(settings):
            return str(client.create_experiment(name))
        return str(client.create_experiment(name, artifact_location=settings.effective_artifact_uri))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _decided_by_server(settings: Settings) -> bool:
    """A tracking server decides itself where artifacts are, unless we are told."""
    return settings.effective_tracking_uri.startswith(("http://", "https://")) and not settings.artifact_uri


def reopened(
    client: MlflowClient, settings: Settings, run_id: str, params: Mapping[str, object], tags: Mapping[str, str]
) -> OpenRun | None:
    """Have a run go on; None where it is not in this store any more. Parameters cannot change: new values become tags."""
    run = find_run(client, run_id) if run_id else None
    if run is None or run.info.lifecycle_stage == "deleted":
        return None
    work = hold_run(settings, run_id)
    client.update_run(run_id, status="RUNNING")
    now = {param.key: param.value for param in _params(params)}
    changed = {f"resumed.{key}": text for key, text in now.items() if run.data.params.get(key, text) != text}
    for key, text in {**tags, **changed}.items():
        client.set_tag(run_id, key, text)
    return work


def _log(settings: Settings, run_id: str, metrics: Mapping[str, float], step: int) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    with open_store(settings) as client:
        client.log_batch(run_id, metrics=[Metric(name, float(value), now, step) for name, value in metrics.items()])


def _params(params: Mapping[str, object]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, str(value)[:_LONGEST_PARAM]) for name, value in params.items()]
