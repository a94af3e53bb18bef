"""Which versions of a catalogue are still named by a model, a training or a sweep, and so must stay readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.bundles import bundle
from backend.registry.store import open_store
from backend.training.preparation import unfinished_trainings
from backend.tuning.folder import list_sweeps

if TYPE_CHECKING:
    from backend.settings import Settings


def versions_in_use(settings: Settings, catalogue: str) -> dict[int, list[str]]:
    """Return the versions of a catalogue that bundles, indexes, registered models, sweeps and unfinished trainings name.

    Beside each version is who names it.

    Raises:
        ConfigurationError: A sweep cannot be read, which may name one.
        RegistryError: The registry cannot be asked; whoever wants to remove something must not go on.
    """
    used = bundle.versions_named(bundle.list_bundles(settings.models_dir), catalogue)
    for folder in list_sweeps(settings.sweeps_dir):
        plan = folder.plan()
        if plan.catalogue == catalogue:
            used.setdefault(plan.version, []).append(f"sweep {plan.name}")
    for training in unfinished_trainings(settings.models_dir):
        if training.catalogue.name == catalogue:
            used.setdefault(training.catalogue.version, []).append(f"unfinished training {training.name}")
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
