"""A registered version comes out: found by alias or number, brought to this machine, and verified before it is used.

Nothing of it is run and nothing is trusted but our own manifest, whose hash the registry keeps: a version that was not
registered by Twinset is refused before its files are looked at.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.bundles import bundle
from backend.errors import BundleError, RegistryError
from backend.registry.history import standing, synchronise
from backend.registry.ledger import CHAMPION
from backend.registry.logged_files import bundle_in, local_path
from backend.registry.quick_look import look
from backend.registry.signing import BUNDLE_TAG, MANIFEST_TAG, NotOurs, check_ours, sign
from backend.registry.store import ABSENT, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from backend.settings import Settings


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the registered model; ``model`` is the name of its bundle, ``alias`` what it was found by."""

    name: str
    version: int
    alias: str
    run_id: str
    model: str


def fetch_champion(settings: Settings, alias: str = CHAMPION) -> tuple[ModelVersion, Path]:
    """Return the version that the alias is at, and the folder of its bundle, verified.

    Artifacts on this machine are used where they are; remote ones are downloaded below the home folder once.

    Raises:
        RegistryError: Nothing is registered under that alias, or the store cannot be reached.
        BundleError: What is stored is damaged or not what was registered.
    """
    if not settings.tracking_uri and not (settings.home / "mlflow.db").is_file():
        raise no_model(settings, alias)
    found = look(settings, alias)
    if found is not None:
        with suppress(NotOurs):  # asked again below, where there may be another that stood there
            check_ours(settings, found)
            return _verified(found, found.uri, settings, alias)
    with open_store(settings) as client:
        return fetch(client, settings, version_at(client, settings, alias), alias)


def fetch(client: MlflowClient, settings: Settings, version: Any, alias: str = "") -> tuple[ModelVersion, Path]:
    """Return a version of the registry as ours, and the folder of its bundle, verified.

    Raises:
        BundleError: What is stored is damaged or not what was registered.
    """
    check_ours(settings, version)  # before a byte of it is brought here
    uri = client.get_model_version_download_uri(version.name, version.version)
    return _verified(version, uri, settings, alias)


def fetch_version(settings: Settings, number: int) -> Path:
    """Return the folder of the bundle of a registered version, verified.

    Raises:
        RegistryError: There is no such version, or the store cannot be reached.
        BundleError: What is stored is damaged or not what was registered.
    """
    with open_store(settings) as client:
        return fetch(client, settings, version_numbered(client, settings, number))[1]


@use_case("models.sign", Role.ADMIN, about=lambda _settings, number: words(version=number))
def sign_version(settings: Settings, number: int) -> ModelVersion:
    """Take a version for ours that another key signed, or none, because someone who knows it says so.

    Raises:
        RegistryError: There is no such version, or the store cannot be reached.
        BundleError: It is no model of Twinset, or damaged.
    """
    with open_store(settings) as client:
        found = version_numbered(client, settings, number)
        uri = client.get_model_version_download_uri(found.name, found.version)
        version, folder = _verified(found, uri, settings, "")
        sign(client, settings, found.name, number, bundle.sha256_of(folder / bundle.MANIFEST))
        synchronise(client, settings)
    return version


def _verified(version: Any, uri: str, settings: Settings, alias: str) -> tuple[ModelVersion, Path]:
    folder = bundle_in(_at_hand(uri, settings, f"{version.name}-{version.version}"))
    bundle.read_manifest(folder)
    if bundle.sha256_of(folder / bundle.MANIFEST) != version.tags.get(MANIFEST_TAG):
        raise BundleError(
            f"Version {version.version} of {version.name} is not what was registered.",
            next_step="Deploy the model again.",
        )
    bundle.verify(folder)
    return (
        ModelVersion(version.name, int(version.version), alias, version.run_id or "", version.tags.get(BUNDLE_TAG, "")),
        folder,
    )


def version_at(client: MlflowClient, settings: Settings, alias: str) -> Any:
    """Return what the registry says of the version at an alias.

    Where someone else moved the alias to a version that is not ours, it is the one that stood there before.

    Raises:
        RegistryError: Nothing is there.
        NotOurs: What is there is not ours, and so is whatever stood there before.
    """
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version_by_alias(settings.model_name, alias)
    except MlflowException as error:
        if error.error_code in ABSENT:
            raise no_model(settings, alias) from error
        raise
    try:
        check_ours(settings, found)
    except NotOurs:
        ours = standing(client, settings).get(alias)
        if ours is None:
            raise
        return version_numbered(client, settings, ours)
    return found


def version_numbered(client: MlflowClient, settings: Settings, number: int) -> Any:
    """Return what the registry says of a version.

    Raises:
        RegistryError: There is no such number.
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
    """The error for an alias that is nowhere."""
    return RegistryError(
        f"No version of {settings.model_name} has the alias {alias} yet.",
        next_step="Deploy a model: `python -m backend deploy`, or the page Deploy.",
    )


def _at_hand(uri: str, settings: Settings, name: str) -> Path:
    """Return the folder of a logged model on this machine."""
    local = local_path(uri)
    if local is not None:
        return local
    from mlflow.artifacts import download_artifacts

    target = settings.home / "downloads" / name
    if not (target / "MLmodel").is_file():
        with bundle.workplace(target, "partial") as partial:
            (partial / name).mkdir()
            Path(download_artifacts(artifact_uri=uri, dst_path=str(partial / name))).replace(target)
    return target
