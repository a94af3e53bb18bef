"""The models of a home: found by name, with their network and the catalogue they were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.bundles import bundle
from backend.errors import BundleError
from backend.feeding.content_cache import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from backend.bundles.bundle import IndexInfo
    from backend.catalogue.snapshot import Snapshot
    from backend.retrieval.embedder import Embedder
    from backend.settings import Settings


def model_folder(settings: Settings, model: str) -> Path:
    """Return a bundle's folder; an empty name means the newest bundle.

    Raises:
        BundleError: There is no such bundle, or none at all.
    """
    if model:
        folder = settings.models_dir / model
        if folder.parent != settings.models_dir or not (folder / bundle.MANIFEST).is_file():
            known = ", ".join(m.name for m in bundle.list_bundles(settings.models_dir)[:5]) or "none yet"
            raise BundleError(f"There is no model {model!r}.", next_step=f"Models are: {known}.")
        return folder
    models = bundle.list_bundles(settings.models_dir)
    if not models:
        raise BundleError("There is no model yet.", next_step="Train one: `python -m backend train`.")
    return settings.models_dir / models[0].name


def load_network(folder: Path, manifest: bundle.Manifest, settings: Settings) -> Embedder:
    """Rebuild the network of a verified bundle."""
    from backend.training.heads import load_embedder

    cache = cache_folder(settings)
    return load_embedder(folder, manifest, threads=settings.threads, device=settings.device, cache=cache)


def trained_on(manifest: bundle.Manifest, settings: Settings) -> Snapshot:
    """Open the catalogue version that a bundle was trained on."""
    from backend.catalogue.snapshot import open_snapshot

    return open_snapshot(settings.catalogues_dir, manifest.catalogue.name, manifest.catalogue.version)


def left_out(info: IndexInfo, snapshot: Snapshot) -> int:
    """Count the products on sale that an index of this version lacks, because their pictures cannot be read."""
    on_sale = snapshot.columns(["product_id"], splits=info.splits, on_sale_only=True)
    return int(on_sale.num_rows) - info.size
