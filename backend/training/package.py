"""From a trained network to a bundle: the manifest filled, the folder put in place whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backend.bundles import bundle
from backend.files.storage import disk_watched, write_atomically
from backend.training import provenance
from backend.training.network import weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backend.bundles.bundle import CatalogueRef, Manifest
    from backend.training.checkpoints import EpochResult
    from backend.training.resolve import Resolved


def describe(
    name: str, resolved: Resolved, best: EpochResult | None, *, catalogue: CatalogueRef, run_id: str = "", threads: int
) -> Manifest:
    """Fill a manifest with everything known about a training; the files and their hashes come with writing.

    Without ``best`` nothing was trained.
    """
    config = resolved.config
    return bundle.Manifest(
        name=name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        config=config.as_dict(),
        pixels=config.pixels,
        embedding_size=config.embedding_size,
        catalogue=catalogue,
        classes=resolved.classes,
        seed=config.seed,
        git_commit=provenance.git_commit(),
        libraries=provenance.library_versions(),
        run_id=run_id,
        threads=threads,
        notes=resolved.all_notes,
        metrics={"val.precision_at_1": best.precision_at_1, "val.map_at_r": best.map_at_r} if best else {},
    )


def write_bundle(
    folder: Path, manifest: Manifest, arrays: list[NDArray[np.float32]], further: Mapping[str, bytes] | None = None
) -> Manifest:
    """Write weights and manifest beside ``folder`` and rename them into place; returns what was written.

    Args:
        folder: The new bundle.
        manifest: What is known of it.
        arrays: The network's arrays.
        further: More files by name, e.g. the proof of a distributed training.

    Raises:
        StorageFailed: There is no space for it, or the disk refuses.
    """
    manifest = replace(manifest, weights_hash=weights.values_hash(arrays))
    with disk_watched("train again"), bundle.workplace(folder, "bundle") as place:
        fresh = place / folder.name
        fresh.mkdir()
        write_atomically(fresh / bundle.WEIGHTS, weights.pack(arrays))
        for name, content in (further or {}).items():
            write_atomically(fresh / name, content)
        written = bundle.write_manifest(fresh, manifest)
        fresh.rename(folder)
    return written
