"""Registered models: a bundle goes in as an MLflow pyfunc, gets an alias, and comes out verified."""

from __future__ import annotations

import base64
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from backend import bundle
from backend.errors import BundleError, RegistryError
from backend.registry.store import open_store, quiet_mlflow
from backend.registry.tracking import ensure_experiment, log_metrics_to_run
from backend.retrieval.recommend import Recommender, example_picture

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from backend.bundle import Manifest
    from backend.progress import Progress
    from backend.settings import Settings

__all__ = ["CHAMPION", "ModelVersion", "fetch_champion", "log_metrics_to_run", "register_bundle"]

CHAMPION = "champion"
_BUNDLE_TAG, _MANIFEST_TAG = "twinset.bundle", "twinset.manifest_sha256"
_BACKEND = Path(__file__).resolve().parents[1]
# What a process needs to serve the model from its artifacts alone; pinned to what made it.
_REQUIRED = (
    "mlflow",
    "tensorflow",
    "tf-keras",
    "tensorflow-similarity",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
)
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the registered model; ``model`` is the name of its bundle."""

    name: str
    version: int
    alias: str
    run_id: str
    model: str


def register_bundle(settings: Settings, folder: Path, *, alias: str = CHAMPION, progress: Progress) -> ModelVersion:
    """Log a bundle as an MLflow pyfunc in its training run, register it, and move the alias to it.

    Raises:
        BundleError: The bundle is damaged, or has no index yet.
        RegistryError: MLflow refuses, or the store cannot be reached.
        StorageFull: There is no space for the copy.
    """
    manifest = bundle.verify(folder)
    if manifest.index is None:
        raise BundleError(f"{folder.name} has no index yet.", next_step="Build it: `python -m backend index`.")
    progress.report(0, 4, note="Trying the model")
    _try(folder, settings)
    progress.check_cancelled()
    progress.report(1, 4, note="Logging the model")
    with open_store(settings) as client:
        run_id = _run_for(client, settings, manifest)
        model_uri = _log(run_id, settings, folder, manifest)
        progress.check_cancelled()
        progress.report(2, 4, note="Registering it")
        number = _register(client, settings, folder, manifest, model_uri, run_id)
        progress.report(3, 4, note=f"Moving the alias {alias}")
        client.set_registered_model_alias(settings.model_name, alias, str(number))
    progress.report(4, 4, note=f"Version {number} is {alias}")
    return ModelVersion(settings.model_name, number, alias, run_id, manifest.name)


def fetch_champion(settings: Settings, alias: str = CHAMPION) -> tuple[ModelVersion, Path]:
    """Return the version that the alias stands at, and the folder of its bundle, verified.

    Artifacts on this machine are used where they lie; remote ones are downloaded below the home folder once.

    Raises:
        RegistryError: Nothing is registered under that alias, or the store cannot be reached.
        BundleError: What is stored is damaged or not what was registered.
    """
    if not settings.tracking_uri and not (settings.home / "mlflow.db").is_file():
        raise _no_model(settings, alias)
    with open_store(settings) as client:
        found = _version_at(client, settings, alias)
        uri = client.get_model_version_download_uri(found.name, found.version)
        model_folder = _at_hand(uri, settings, f"{found.name}-{found.version}")
    folder = _bundle_in(model_folder)
    bundle.verify(folder)
    if bundle.sha256_of(folder / bundle.MANIFEST) != found.tags.get(_MANIFEST_TAG):
        raise BundleError(
            f"Version {found.version} of {found.name} is not what was registered.", next_step="Deploy the model again."
        )
    return (
        ModelVersion(found.name, int(found.version), alias, found.run_id or "", found.tags.get(_BUNDLE_TAG, "")),
        folder,
    )


# ---------------------------------------------------------------------------------------------- in


def _try(folder: Path, settings: Settings) -> None:
    """Answer one picture with the bundle: MLflow only warns of a model that cannot."""
    from backend.training.embedder import load_embedder

    recommender = Recommender.load(folder, embedder_loader=load_embedder, threads=settings.threads)
    recommender.warm_up()


def _run_for(client: MlflowClient, settings: Settings, manifest: Manifest) -> str:
    """Return the training run; a bundle that was trained elsewhere gets one that says so."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_run(manifest.run_id).info.run_id)
    except MlflowException as error:
        if error.error_code not in _ABSENT:
            raise
    experiment = ensure_experiment(client, settings, manifest.catalogue.name)
    tags = {"catalogue": manifest.catalogue.name, "catalogue_version": str(manifest.catalogue.version)}
    run = client.create_run(experiment, run_name=manifest.name, tags={**tags, "twinset.trained": "elsewhere"})
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _log(run_id: str, settings: Settings, folder: Path, manifest: Manifest) -> str:
    """Log the bundle as a pyfunc model of the run and return the model's URI."""
    mlflow = quiet_mlflow()
    path = list(sys.path)
    try:
        with mlflow.start_run(run_id=run_id):
            info = mlflow.pyfunc.log_model(
                name=settings.model_name,
                python_model=str(_BACKEND / "registry" / "pyfunc_model.py"),
                artifacts={"bundle": str(folder)},
                code_paths=[str(_BACKEND)],
                signature=signature(),
                input_example=_example(manifest),
                pip_requirements=[f"{name}=={installed_version(name)}" for name in _REQUIRED],
                metadata={"bundle": manifest.name, "catalogue": asdict(manifest.catalogue)},
            )
    finally:
        sys.path[:] = path  # MLflow tries the example and leaves its temporary folder on the path
    return str(info.model_uri)


def signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    outputs = [
        *(ColSpec("long", name) for name in ("query_row", "rank")),
        *(ColSpec("string", name) for name in ("product_id", "label")),
        *(ColSpec("double", name) for name in ("distance", "similarity")),
        ColSpec("string", "image", required=False),
    ]
    return ModelSignature(
        inputs=Schema([ColSpec("string", "input")]),
        outputs=Schema(outputs),
        params=ParamSchema([ParamSpec("k", "long", 10), ParamSpec("include_images", "string", "")]),
    )


def _example(manifest: Manifest) -> tuple[Any, dict[str, Any]]:
    """A picture made up here, and the parameters: the gallery's own pictures may not be ours to publish."""
    import pandas as pd

    text = base64.b64encode(example_picture(manifest.pixels)).decode("ascii")
    return pd.DataFrame({"input": [text]}), {"k": 3, "include_images": ""}


def _register(
    client: MlflowClient, settings: Settings, folder: Path, manifest: Manifest, model_uri: str, run_id: str
) -> int:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(settings.model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {
        _BUNDLE_TAG: manifest.name,
        _MANIFEST_TAG: bundle.sha256_of(folder / bundle.MANIFEST),
        "catalogue": manifest.catalogue.name,
        "catalogue_version": str(manifest.catalogue.version),
        "index_version": str(manifest.index.catalogue.version) if manifest.index else "",
    }
    made = client.create_model_version(
        settings.model_name, model_uri, run_id, tags=tags, model_id=model_uri.removeprefix("models:/")
    )
    return int(made.version)


# ---------------------------------------------------------------------------------------------- out


def _version_at(client: MlflowClient, settings: Settings, alias: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(settings.model_name, alias)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            raise _no_model(settings, alias) from error
        raise


def _no_model(settings: Settings, alias: str) -> RegistryError:
    return RegistryError(
        f"No version of {settings.model_name} has the alias {alias} yet.",
        next_step="Deploy a model: `python -m backend deploy`, or the page Deploy.",
    )


def _at_hand(uri: str, settings: Settings, name: str) -> Path:
    """Return the folder of a logged model on this machine."""
    local = _local_path(uri)
    if local is not None:
        return local
    from mlflow.artifacts import download_artifacts

    target = settings.home / "downloads" / name
    if not (target / "MLmodel").is_file():
        partial = target.with_name(f".{name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        fetched = Path(download_artifacts(artifact_uri=uri, dst_path=str(partial)))
        fetched.replace(target)
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _local_path(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(uri) if parts.scheme == "" else None


def _bundle_in(model_folder: Path) -> Path:
    """Find the bundle in a logged model by what its MLmodel file says."""
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    try:
        flavour = Model.load(str(model_folder)).flavors["python_function"]
        return model_folder / str(flavour["artifacts"]["bundle"]["path"])
    except (OSError, KeyError, MlflowException) as error:
        raise BundleError(
            f"The registered model is not to be found at {model_folder}.", next_step="Deploy the model again."
        ) from error
