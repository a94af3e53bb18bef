"""The table that a catalogue was loaded from, given back as it came, corrected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.delta.delta_log import catalogue_folder
from backend.errors import CatalogueError
from backend.flow.current.fetch import table_of

if TYPE_CHECKING:
    from backend.flow.requests import ExportRequest
    from backend.progress import Progress
    from backend.settings import Settings


def export_step(request: ExportRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Write the table into the home's folder of exports, in place of the one that was made before."""
    from backend.catalogue.sources.mended import save_mended
    from backend.catalogue.sources.tables.listing import TableSource

    progress.report(0, 1, note="Reading the table")
    source = table_of(request, settings, progress)
    if not isinstance(source, TableSource):
        raise CatalogueError(f"{Path(request.path).name} contains pictures and no table.", next_step="Choose a table.")
    done = save_mended(source, export_path(settings, request.catalogue), progress)
    return {"catalogue": request.catalogue, "source": request.path, "table": request.table, **done.as_dict()}


@use_case(
    "catalogue.download_corrected", Role.MERCHANDISER, about=lambda _settings, catalogue: words(catalogue=catalogue)
)
def handed_out(settings: Settings, catalogue: str) -> Path:
    """Return the corrected table of a catalogue, to be sent to whoever asks.

    Raises:
        CatalogueError: There is none.
    """
    path = export_path(settings, catalogue)
    if not path.is_file():
        raise CatalogueError(
            "There is no corrected table of this catalogue.", next_step="Prepare it on the Catalogue page."
        )
    return path


def export_path(settings: Settings, catalogue: str) -> Path:
    """Return where the corrected table of a catalogue is kept.

    Raises:
        CatalogueError: It cannot be the name of one.
    """
    catalogue_folder(settings.catalogues_dir, catalogue)  # refuses what cannot be a name
    return settings.exports_dir / f"{catalogue}.csv"
