"""A registered version comes out: found by alias or number, brought to this machine, and verified before it is used.

Nothing of it is run and nothing is trusted but our own manifest, whose hash the registry keeps: a version that was not
registered by Twinset is refused before its files are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import yaml

from backend import bundle
from backend.errors import BundleError, RegistryError
from backend.registry.ledger import CHAMPION
from backend.registry.quick_look import look
from backend.registry.store import open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from backend.settings import Settings

BUNDLE_TAG, MANIFEST_TAG = "twinset.bundle", "twinset.manifest_sha256"
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the registered model; ``model`` is the name of its bundle, ``alias`` what it was found by."""

    name: str
    version: int
    alias: str
    run_id: str
    model: str


def fetch_champion(settings: Settings, alias: str = CHAMPION) -> tuple[ModelVersion, Path]:
    """Return the version that the alias stands at, and the folder of its bundle, verified.

    Artifacts on this machine are used where they lie; remote ones are downloaded below the home folder once.

    Raises:
        RegistryError: Nothing is registered under that alias, or the store cannot be reached.
        BundleError: What is stored is damaged or not what was registered.
    """
    if not settings.tracking_uri and not (settings.home / "mlflow.db").is_file():
        raise no_model(settings, alias)
    found = look(settings, alias)
    if found is not None:
        return _verified(found, found.uri, settings, alias)
    with open_store(settings) as client:
        return fetch(client, settings, version_at(client, settings, alias), alias)


def fetch(client: MlflowClient, settings: Settings, found: Any, alias: str = "") -> tuple[ModelVersion, Path]:
    """Return a version of the registry as ours, and the folder of its bundle, verified.

    Raises:
        BundleError: What is stored is damaged or not what was registered.
    """
    _check_ours(found)  # before a byte of it is brought here
    uri = client.get_model_version_download_uri(found.name, found.version)
    return _verified(found, uri, settings, alias)


def fetch_version(settings: Settings, number: int) -> Path:
    """Return the folder of the bundle of a registered version, verified.

    Raises:
        RegistryError: There is no such version, or the store cannot be reached.
        BundleError: What is stored is damaged or not what was registered.
    """
    with open_store(settings) as client:
        return fetch(client, settings, version_numbered(client, settings, number))[1]


def _check_ours(found: Any) -> None:
    if not found.tags.get(MANIFEST_TAG):
        raise BundleError(
            f"Version {found.version} of {found.name} was not registered by Twinset, and is not loaded.",
            next_step="Deploy a model of Twinset: `python -m backend deploy`.",
        )


def _verified(found: Any, uri: str, settings: Settings, alias: str) -> tuple[ModelVersion, Path]:
    _check_ours(found)
    folder = _bundle_in(_at_hand(uri, settings, f"{found.name}-{found.version}"))
    bundle.read_manifest(folder)
    if bundle.sha256_of(folder / bundle.MANIFEST) != found.tags[MANIFEST_TAG]:
        raise BundleError(
            f"Version {found.version} of {found.name} is not what was registered.", next_step="Deploy the model again."
        )
    bundle.verify(folder)
    return (
        ModelVersion(found.name, int(found.version), alias, found.run_id or "", found.tags.get(BUNDLE_TAG, "")),
        folder,
    )


def version_at(client: MlflowClient, settings: Settings, alias: str) -> Any:
    """Return what the registry says of the version at an alias.

    Raises:
        RegistryError: Nothing stands there.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(settings.model_name, alias)
    except MlflowException as error:
        if error.error_code in ABSENT:
            raise no_model(settings, alias) from error
        raise


def version_numbered(client: MlflowClient, settings: Settings, number: int) -> Any:
    """Return what the registry says of a version.

    Raises:
        RegistryError: There is none of that number.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(settings.model_name, str(number))
    except MlflowException as error:
        if error.error_code in ABSENT:
            raise RegistryError(
                f"{settings.model_name} has no version {number}.", next_step="See `python -m backend models list`."
            ) from error
        raise


def no_model(settings: Settings, alias: str) -> RegistryError:
    """The error for an alias that stands nowhere."""
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
        with bundle.workplace(target, "partial") as partial:
            (partial / name).mkdir()
            Path(download_artifacts(artifact_uri=uri, dst_path=str(partial / name))).replace(target)
    return target


def _local_path(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(uri) if parts.scheme == "" else None


def _bundle_in(model_folder: Path) -> Path:
    """Find the bundle in a logged model by what its MLmodel file says."""
    try:
        text = (model_folder / "MLmodel").read_text(encoding="utf-8")
        named = Path(yaml.safe_load(text)["flavors"]["python_function"]["artifacts"]["bundle"]["path"])
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise BundleError(
            f"The registered model is not to be found at {model_folder}.", next_step="Deploy the model again."
        ) from error
    folder = model_folder / named
    steps = [folder, *folder.parents[: len(named.parts) - 1]]
    if named.is_absolute() or ".." in named.parts or any(step.is_symlink() for step in steps):
        raise BundleError(
            f"The registered model at {model_folder} names a folder outside of itself.",
            next_step="Deploy the model again.",
        )
    return folder
