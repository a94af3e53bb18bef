"""What a process has under way in the store: runs, and models that are being registered. One that was killed ends nothing
itself, and the next start does: :mod:`backend.registry.runs.left_open`.

Each piece of work has a folder in the home that its process holds (see :mod:`backend.files.scratch`), and a tag with the
folder's name on all that it makes: looking for what is left over costs nothing, and what other machines have in the same
store is left alone. The folder is there before anything is made, so that no moment is without an owner.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from backend.files import scratch
from backend.registry.store import find_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

    from backend.files.scratch import Hold
    from backend.settings import Settings

PARENT_TAG = "mlflow.parentRunId"
HELD_TAG = "twinset.held"
_WHY_TAG, _WHY = "closed", "Its process was killed; the next start of Twinset closed it."


@dataclass(frozen=True, slots=True)
class OpenRun:
    """Work in the store that this process has open."""

    folder: Path
    hold: Hold

    @property
    def tags(self) -> dict[str, str]:
        """What every run and logged model of it must carry from its first moment on."""
        return {HELD_TAG: self.folder.name}

    def closed(self) -> None:
        """Say that nothing of it is open in the store."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.hold.close()


def hold_run(settings: Settings, name: str = "") -> OpenRun:
    """Begin work in the store, under a new name; or go on with a run, whose id is the name then."""
    folder = settings.open_runs_dir / (name or uuid4().hex)
    folder.mkdir(parents=True, exist_ok=True)
    return OpenRun(folder, scratch.hold(folder))


@contextmanager
def registering(client: MlflowClient, settings: Settings) -> Iterator[OpenRun]:
    """Hold what is logged for a registered model; what no version names in the end is removed, as after a kill."""
    work = hold_run(settings)
    try:
        yield work
    finally:
        with work.hold:
            end(client, work.folder.name)
            shutil.rmtree(work.folder, ignore_errors=True)


def end(client: MlflowClient, name: str) -> None:
    """Close the open runs of a piece of work, and remove the models that it logged and no signed version names."""
    from backend.registry.signing import SIGNATURE_TAG

    experiments = [one.experiment_id for one in client.search_experiments(view_type=3)]
    runs = client.search_runs(experiments, f"tags.`{HELD_TAG}` = '{name}'")
    for run in [*runs, *filter(None, [find_run(client, name)])]:
        children = client.search_runs([run.info.experiment_id], f"tags.`{PARENT_TAG}` = '{run.info.run_id}'")
        for one in (run, *children):
            close(client, one)
    for model in client.search_logged_models(experiments, f"tags.`{HELD_TAG}` = '{name}'"):
        versions = versions_of(client, model)
        for one in versions if all(SIGNATURE_TAG not in one.tags for one in versions) else ():
            client.delete_model_version(one.name, one.version)  # it was made, and not signed any more
        if not versions_of(client, model):
            remove_model(client, model)


def close(client: MlflowClient, run: Run) -> None:
    """Close a run that is open, and say why in a tag."""
    if run.info.status == "RUNNING" and run.info.lifecycle_stage == "active":
        client.set_tag(run.info.run_id, _WHY_TAG, _WHY)
        client.set_terminated(run.info.run_id, status="KILLED")


def versions_of(client: MlflowClient, model: LoggedModel) -> list[ModelVersion]:
    """Return the versions of registered models that are this logged model."""
    return list(client.search_model_versions(f"source_path = 'models:/{model.model_id}'"))


def remove_model(client: MlflowClient, model: LoggedModel) -> None:
    """Remove a logged model with its files; they go first, so that what is left of a removal is found again."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(model.artifact_location).delete_artifacts()
    with suppress(OSError):  # on another machine, there are no folders
        local_folder(model).parent.rmdir()
    client.delete_logged_model(model.model_id)


def local_folder(model: LoggedModel) -> Path:
    """Return the folder of a logged model's files; it is not there where they are on another machine."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(model.artifact_location))
