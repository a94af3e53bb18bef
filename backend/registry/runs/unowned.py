"""What the home's own store of runs and models holds that nobody has: looked for by ``tidy``, in all of the store.

Only what Twinset made is looked at, and only in a store that is this home's alone: in a shared one, other machines work.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.files import scratch
from backend.registry.runs.open_runs import HELD_TAG, PARENT_TAG, close, local_folder, remove_model, versions_of
from backend.registry.store import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

    from backend.settings import Settings

OURS_TAG = "catalogue_version"
_YOUNG_MS = 3_600_000  # an earlier version names its work only after it has begun


@dataclass(frozen=True, slots=True)
class Unowned:
    """Open runs that no process has, by id, and bytes of each logged model that no version names."""

    runs: tuple[str, ...] = ()
    models: tuple[int, ...] = ()


def unowned(settings: Settings, *, remove: bool) -> Unowned:
    """Find them; close and remove them if told to.

    Raises:
        RegistryError: The store refuses.
    """
    if settings.tracking_uri or not (settings.home / "mlflow.db").is_file():
        return Unowned()
    with open_store(settings) as client:
        every = [one.experiment_id for one in client.search_experiments(view_type=3)]
        held = _held(settings)
        runs, models = _runs(client, every, held), _models(client, every, held, settings.model_name)
        found = Unowned(tuple(run.info.run_id for run in runs), tuple(_size(model) for model in models))
        for run in runs if remove else ():
            close(client, run)
        for model in models if remove else ():
            remove_model(client, model)
    return found


def _held(settings: Settings) -> set[str]:
    """Return what living processes have under way."""
    every = {folder.name for folder in settings.open_runs_dir.glob("*")}
    return every - {folder.name for folder in scratch.left_in(settings.open_runs_dir, "*")}


def _runs(client: MlflowClient, experiments: Sequence[str], held: set[str]) -> list[Run]:
    running = "attributes.status = 'RUNNING' and tags.`{}` != ''"
    loose = [
        run
        for run in client.search_runs(experiments, running.format(OURS_TAG))
        if not held & {run.info.run_id, run.data.tags.get(HELD_TAG, "")}
        and _is_ours(run.data.tags, run.info.start_time)
    ]
    ids = {run.info.run_id for run in loose}
    children = client.search_runs(experiments, running.format(PARENT_TAG))
    return loose + [run for run in children if run.data.tags[PARENT_TAG] in ids]


def _models(client: MlflowClient, experiments: Sequence[str], held: set[str], name: str) -> list[LoggedModel]:
    return [
        model
        for model in client.search_logged_models(experiments, f"name = '{name}'")
        if model.tags.get(HELD_TAG, "") not in held
        and _is_ours(model.tags, model.creation_timestamp)
        and not versions_of(client, model)
    ]


def _is_ours(tags: dict[str, str], began_ms: int) -> bool:
    return HELD_TAG in tags or began_ms < time.time() * 1000 - _YOUNG_MS


def _size(model: LoggedModel) -> int:
    """Return the bytes of a logged model on this machine; 0 for one elsewhere."""
    return sum(file.stat().st_size for file in local_folder(model).rglob("*") if file.is_file())
