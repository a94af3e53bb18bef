"""The step that draws a map of a model's gallery."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backend.bundles import bundle
from backend.errors import CatalogueError
from backend.flow.named import left_out, model_folder

if TYPE_CHECKING:
    from pathlib import Path

    from backend.flow.requests import ProjectRequest
    from backend.progress import Progress
    from backend.settings import Settings


def project_step(request: ProjectRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Draw the map of a model's gallery; one that was drawn before, of the same index and options, is taken as it is."""
    from backend.projection.build import build_map
    from backend.projection.worth import TOO_FEW

    request.options.check()
    folder = model_folder(settings, request.model)
    built = build_map(
        folder, settings.maps_dir / folder.name, request.options, threads=settings.threads, progress=progress
    )
    info = built.map.info
    too_few = any(found.trustworthiness is None for found in info.worth.values())
    return {
        "model": folder.name,
        "map": info.key,
        "products": info.size,
        "left_out": _left_out(folder, settings),
        "catalogue": asdict(info.catalogue),
        "options": info.options.as_dict(),
        "worth": {f"{size}-D": asdict(found) for size, found in info.worth.items()},
        **({"note": TOO_FEW} if too_few else {}),
        "was_there": built.was_there,
        "seconds": info.seconds,
    }


def _left_out(folder: Path, settings: Settings) -> int:
    """Count the products that the index lacks; none where the version that it is of has been tidied away."""
    from backend.catalogue.snapshot import open_snapshot

    info = bundle.read_manifest(folder).index
    if info is None:
        return 0
    try:
        return left_out(info, open_snapshot(settings.catalogues_dir, info.catalogue.name, info.catalogue.version))
    except CatalogueError:
        return 0
