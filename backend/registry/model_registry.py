"""Registered models: a bundle goes in as an MLflow pyfunc, is tried in a fresh process, and becomes a version."""

from __future__ import annotations

import base64
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backend.bundles import bundle
from backend.errors import BundleError
from backend.files.scratch import own_folder
from backend.registry import portable
from backend.registry.card import as_markdown, card_of
from backend.registry.fetching import ModelVersion
from backend.registry.history import CARD_TAG, synchronise
from backend.registry.runs.open_runs import registering
from backend.registry.runs.tracking import OUR_VERSION, ensure_experiment
from backend.registry.signing import BUNDLE_TAG, MANIFEST_TAG, sign
from backend.registry.smoke import try_in_fresh_process
from backend.registry.store import ABSENT, open_store, quiet_mlflow
from backend.retrieval.invocation import InvocationParams
from backend.retrieval.query_pictures import example_picture

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

    from backend.bundles.bundle import Manifest
    from backend.progress import Progress
    from backend.registry.runs.open_runs import OpenRun
    from backend.settings import Settings


def register_bundle(settings: Settings, folder: Path, *, progress: Progress) -> ModelVersion:
    """Log a bundle as an MLflow pyfunc in its training run, try it in a fresh process, and register it.

    No alias moves: see ``backend.registry.promotion``.

    Raises:
        BundleError: The bundle is damaged, has no index yet, or does not answer.
        RegistryError: MLflow refuses, or the store cannot be reached.
        StorageFull: There is no space for the copy.
    """
    manifest = bundle.verify(folder)
    if manifest.index is None:
        raise BundleError(f"{folder.name} has no index yet.", next_step="Build it: `python -m backend index`.")
    progress.report(0, 3, note="Logging the model")
    with open_store(settings) as client, registering(client, settings) as work:
        run_id = _run_for(client, settings, manifest, work)
        model_uri = _log(client, run_id, settings, folder, manifest, work)
        progress.report(1, 3, note="Testing it in a separate process")
        try_in_fresh_process(settings, model_uri, progress)
        progress.report(2, 3, note="Registering it")
        number = _register(client, settings, folder, manifest, model_uri, run_id)
        synchronise(client, settings)
    progress.report(3, 3, note=f"Registered as version {number}")
    return ModelVersion(settings.model_name, number, "", run_id, manifest.name)


def _run_for(client: MlflowClient, settings: Settings, manifest: Manifest, work: OpenRun) -> str:
    """Return the training run; a bundle that was trained elsewhere gets one that says so."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_run(manifest.run_id).info.run_id)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
    experiment = ensure_experiment(client, settings, manifest.catalogue.name)
    tags = {"catalogue": manifest.catalogue.name, "catalogue_version": str(manifest.catalogue.version)}
    tags |= {"twinset.trained": "elsewhere" if manifest.run_id else "no", **OUR_VERSION, **work.tags}
    run = client.create_run(experiment, run_name=manifest.name, tags=tags)
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _log(client: MlflowClient, run_id: str, settings: Settings, folder: Path, manifest: Manifest, work: OpenRun) -> str:
    """Log the bundle as a pyfunc model of the run, which stays closed, and return the model's URI."""
    mlflow = quiet_mlflow()
    from mlflow.entities import LoggedModelOutput

    experiment, path = client.get_run(run_id).info.experiment_id, list(sys.path)
    logged = client.create_logged_model(experiment, settings.model_name, source_run_id=run_id, tags=work.tags)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    try:
        with own_folder("taken-along") as place:
            info = mlflow.pyfunc.log_model(
                name=settings.model_name,
                model_id=logged.model_id,
                python_model=str(portable.MODEL_CODE),
                artifacts={"bundle": str(folder)},
                code_paths=[str(portable.copy_code(place))],
                signature=signature(),
                input_example=_example(manifest),
                pip_requirements=portable.requirements(),
                metadata={"bundle": manifest.name, "catalogue": asdict(manifest.catalogue)},
            )
    finally:
        sys.path[:] = path  # MLflow tries the example and leaves its temporary folder on the path
    return str(info.model_uri)


def signature() -> Any:
    """What goes in and comes out, as MLflow checks it: the same for every model.

    The outputs are those of every answer in rows. What is there only when asked for must not be named here:
    ``spark_udf`` takes the outputs for columns that are always there.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    outputs = [
        *(ColSpec("long", name) for name in ("query_row", "rank")),
        *(ColSpec("string", name) for name in ("product_id", "label")),
        *(ColSpec("double", name) for name in ("distance", "similarity")),
    ]
    return ModelSignature(
        inputs=Schema([ColSpec("string", "input")]),
        outputs=Schema(outputs),
        params=ParamSchema(
            [
                ParamSpec(name, "long" if isinstance(usual, int) else "string", usual)
                for name, usual in asdict(InvocationParams()).items()
            ]
        ),
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
    card, sha256 = card_of(folder, manifest), bundle.sha256_of(folder / bundle.MANIFEST)
    tags = {
        **OUR_VERSION,
        BUNDLE_TAG: manifest.name,
        MANIFEST_TAG: sha256,
        "catalogue": manifest.catalogue.name,
        "catalogue_version": str(manifest.catalogue.version),
        CARD_TAG: card.to_json(),
        "index_version": str(manifest.index.catalogue.version) if manifest.index else "",
    }
    made = client.create_model_version(
        settings.model_name,
        model_uri,
        run_id,
        tags=tags,
        description=as_markdown(card),
        model_id=model_uri.removeprefix("models:/"),
    )
    sign(client, settings, settings.model_name, int(made.version), sha256)
    return int(made.version)
