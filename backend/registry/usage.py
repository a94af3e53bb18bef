"""Which versions of a catalogue are still named by a model, and so must stay readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend import bundle
from backend.registry.store import open_store

if TYPE_CHECKING:
    from backend.settings import Settings


def versions_in_use(settings: Settings, catalogue: str) -> dict[int, list[str]]:
    """Return the versions of a catalogue that bundles, indexes and registered models were made from, and who names each.

    Raises:
        RegistryError: The registry cannot be asked; whoever wants to remove something must not go on.
    """
    used = bundle.versions_named(bundle.list_bundles(settings.models_dir), catalogue)
    if settings.tracking_uri or (settings.home / "mlflow.db").is_file():
        for version, name in _registered(settings, catalogue):
            used.setdefault(version, []).append(name)
    return {version: sorted(set(names)) for version, names in sorted(used.items())}


def _registered(settings: Settings, catalogue: str) -> list[tuple[int, str]]:
    with open_store(settings) as client:
        found = client.search_model_versions(f"name = '{settings.model_name}'", max_results=10_000)
        tags = [(model.tags, f"{model.name} version {model.version}") for model in found]
    named = ("catalogue_version", "index_version")  # what was trained on, and what is searched
    return [
        (int(tag[version]), name)
        for tag, name in tags
        for version in named
        if tag.get("catalogue") == catalogue and tag.get(version, "").isdecimal()
    ]
