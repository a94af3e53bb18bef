"""The door to MLflow: opened quietly, without a network, with its errors translated.

MLflow keeps its tracking URI in the process. ``open_store`` sets it for as long as the store is used and puts back what
was there, so that nothing depends on who used MLflow before.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backend.errors import RegistryError
from backend.files.storage import disk_error
from backend.registry.relocation import follow_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities import Run

    from backend.settings import Settings

# Read by MLflow: no usage statistics, no progress bars, no search for a git executable; and a server that is not there
# is given up after seconds, where MLflow's own patience is five minutes.
_MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
# Where a store that MLflow makes has its default experiment keep artifacts: without it, in the working directory.
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # codes of MLflow for what is not there
_SETTLED = ("mlflow", "alembic", "sqlalchemy", "databricks")


def quiet_mlflow() -> Any:
    """Import MLflow so that it neither prints nor phones; returns the module."""
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its dependencies say at import is not ours to heed
        import mlflow
        import mlflow.pyfunc
    for name in _SETTLED:
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


@contextmanager
def open_store(settings: Settings) -> Iterator[MlflowClient]:
    """Use the tracking store and registry of the settings; made on first use.

    Raises:
        RegistryError: MLflow refuses, or the store cannot be reached.
        StorageFailed: There is no space for it, or the disk refuses.
    """
    mlflow = quiet_mlflow()
    uri = settings.effective_tracking_uri
    before = (mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    with _translated(uri, settings.home), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own deprecations and of features we do not use
        if not settings.tracking_uri:
            settings.home.mkdir(parents=True, exist_ok=True)
            follow_home(settings)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        try:
            with _artifacts_in(settings.effective_artifact_uri):
                client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            yield client
        finally:
            mlflow.set_tracking_uri(before[0])
            mlflow.set_registry_uri(before[1])


def find_run(client: MlflowClient, run_id: str) -> Run | None:
    """Return a run; None where the store has none of that id any more. One in the trash is found, too."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


@contextmanager
def _artifacts_in(root: str) -> Iterator[None]:
    """Have a store that is made inside keep the artifacts of its default experiment there."""
    before = os.environ.get(_ARTIFACT_ROOT)
    os.environ[_ARTIFACT_ROOT] = root
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ARTIFACT_ROOT]
        else:
            os.environ[_ARTIFACT_ROOT] = before


@contextmanager
def _translated(uri: str, home: Path) -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:  # a driver is missing
        if (known := disk_error(error, "try again", place=home)) is not None:
            raise known from error
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RegistryError(
            f"The MLflow operation failed: {said}",
            next_step=f"Check that the store at {uri} is reachable and intact.",
        ) from error


def upgrade_store(settings: Settings) -> None:
    """Bring the database of runs that is below the home to the schema of this MLflow; that of a server is the server's.

    Raises:
        RegistryError: MLflow refuses; its last line says why.
    """
    if settings.tracking_uri or not (settings.home / "mlflow.db").is_file():
        return
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", settings.effective_tracking_uri]
    done = subprocess.run(command, env={**os.environ, **_MANNERS}, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise RegistryError(
            f"MLflow could not upgrade its database: {said}", next_step="Restore the backup made before the upgrade."
        )
