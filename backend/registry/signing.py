"""A registered version is ours by its signature: an HMAC over its name, its number and the hash of its manifest.

Whoever reaches MLflow can register a version and move an alias to it; without the key, which is in the home and not in
MLflow, nobody can make one that is served. Machines that share a registry share the key: by the setting ``registry_key``,
or by a copy of the file.

A home of an earlier version has no key yet. The first that needs one signs the versions that our own processes put there:
those with the manifest of a model of this home, and those whose files are where MLflow's server lets nobody write.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backend.bundles import bundle
from backend.errors import BundleError, RegistryError, SettingsError
from backend.files.locking import lock_beside, locked
from backend.files.plain_files import read_plain
from backend.files.storage import write_atomically
from backend.registry.logged_files import bundle_in, local_path
from backend.registry.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

    from backend.settings import Settings

BUNDLE_TAG, MANIFEST_TAG, SIGNATURE_TAG = "twinset.bundle", "twinset.manifest_sha256", "twinset.signature"
KEY_FILE = "registry-key"
_KEY_BYTES = 32
_LONGEST_KEY = 4_096
_MOST = 10_000
# Where a model lies that one of our processes logged. What MLflow's server lets somebody upload lies below a run's folder,
# ``<32 hex digits>/artifacts``, wherever that is.
_LOGGED = re.compile(r"m-[0-9a-f]{32}")
_log = logging.getLogger(__name__)


class NotOurs(BundleError):
    """A registered version without a signature of ours."""


def check_ours(settings: Settings, version: Any) -> None:
    """Make sure that a version, as the registry tells of it, is ours; nothing else of it is looked at before.

    Raises:
        NotOurs: It has no signature, or one with another key or for something else.
        RegistryError: The key cannot be read or made.
    """
    key, signed = _key(settings), version.tags.get(SIGNATURE_TAG, "")
    expected = _signature(key, version.name, int(version.version), version.tags.get(MANIFEST_TAG, ""))
    if hmac.compare_digest(signed.encode(), expected.encode()):
        return
    why = "is signed with another key or was tampered with" if signed else "was not registered by Twinset"
    raise NotOurs(
        f"Version {version.version} of {version.name} {why}, and is not loaded.",
        next_step=(
            "Deploy a model of Twinset. If another machine registered it, give both the same TWINSET_REGISTRY_KEY; "
            f"if you know it, sign it: `python -m backend models sign {version.version}`."
        ),
    )


def sign(client: MlflowClient, settings: Settings, name: str, version: int, manifest_sha256: str) -> None:
    """Say in the registry that a version is ours.

    Raises:
        RegistryError: The key cannot be read or made, or the store refuses.
    """
    signed = _signature(_key(settings), name, version, manifest_sha256)
    client.set_model_version_tag(name, str(version), SIGNATURE_TAG, signed)


def _signature(key: bytes, name: str, version: int, manifest_sha256: str) -> str:
    said = json.dumps(["twinset version", name, version, manifest_sha256]).encode()
    return hmac.new(key, said, hashlib.sha256).hexdigest()


def _key(settings: Settings) -> bytes:
    """Return the key of the settings, or that of the home, which the first makes that needs it."""
    if settings.registry_key:
        given = settings.registry_key.reveal().encode()
        if len(given) < _KEY_BYTES:
            raise SettingsError(
                f"TWINSET_REGISTRY_KEY has {len(given)} characters but needs {_KEY_BYTES}.",
                next_step=f"Copy the content of the file {KEY_FILE} from the home folder that has it.",
            )
        return given
    path = settings.home / KEY_FILE
    try:
        if not os.path.lexists(path):
            _make_key(settings, path)
        return read_plain(path, _LONGEST_KEY).strip()
    except OSError as error:
        raise RegistryError(
            f"The key {path} cannot be read or created: {error.strerror}.",
            next_step="Let this user read and write the home folder, or set TWINSET_REGISTRY_KEY.",
        ) from error


def _make_key(settings: Settings, path: Path) -> None:
    with locked(lock_beside(path)):
        if os.path.lexists(path):
            return
        key = secrets.token_hex(_KEY_BYTES).encode()
        _adopt(settings, key)  # before the key is kept: what is cut short is done again by the next start
        write_atomically(path, key)  # mode 0600


def _adopt(settings: Settings, key: bytes) -> None:
    """Sign the versions of an earlier Twinset that are known to be ours."""
    with open_store(settings) as client:
        known = _manifests_of(settings.models_dir)
        for found in client.search_model_versions(f"name = '{settings.model_name}'", max_results=_MOST):
            sha256 = found.tags.get(MANIFEST_TAG, "")
            uri = client.get_model_version_download_uri(found.name, found.version)
            is_ours = bool(sha256) and (sha256 in known or _is_logged_here(settings, uri, sha256))
            if is_ours:
                signed = _signature(key, found.name, int(found.version), sha256)
                client.set_model_version_tag(found.name, found.version, SIGNATURE_TAG, signed)
            said = "is now signed" if is_ours else "is not trusted and is no longer served"
            _log.warning("version %s of %s, from before versions were signed, %s", found.version, found.name, said)


def _manifests_of(models: Path) -> set[str]:
    found = set()
    for path in models.glob(f"*/{bundle.MANIFEST}"):
        with suppress(OSError):  # none of ours
            found.add(bundle.sha256_of(path))
    return found


def _is_logged_here(settings: Settings, uri: str, sha256: str) -> bool:
    """Tell whether a version's files are where one of our processes logged them, and are what was registered."""
    folder, root = local_path(uri), local_path(settings.effective_artifact_uri)
    if folder is None or root is None or not _LOGGED.fullmatch(folder.parent.name):
        return False
    if folder != root / "models" / folder.parent.name / "artifacts":
        return False
    try:
        return bundle.sha256_of(bundle_in(folder) / bundle.MANIFEST) == sha256
    except (BundleError, OSError):
        return False
