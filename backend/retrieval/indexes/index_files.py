"""How the files of an index get into a bundle: made beside it, described by what they hold, and swapped in as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.bundles import bundle
from backend.bundles.renewal import renew
from backend.catalogue.items import SCORED_SPLITS
from backend.retrieval.indexes.further import FILES
from backend.retrieval.indexes.kinds import write_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backend.progress import Progress


def described(
    place: Path, kind: str, splits: Sequence[str], catalogue: bundle.CatalogueRef, *, generation: int = 1
) -> bundle.IndexInfo:
    """Say what an index holds whose gallery is in ``place``: what is searched, and what of that is scored.

    Args:
        place: The folder.
        kind: The kind of index.
        splits: Splits that the products were taken from.
        catalogue: The version that they are of.
        generation: 1 for a build, one more for every refresh since.
    """
    held = pq.read_table(place / bundle.GALLERY, columns=["split"])["split"]
    scored = tuple(split for split in splits if split in SCORED_SPLITS)
    is_scored = pc.is_in(held, value_set=pa.array(scored, pa.string()))
    count = int(pc.sum(is_scored).as_py() or 0)
    return bundle.IndexInfo(kind, len(held), tuple(splits), catalogue, count, scored, generation)


def put_in_place(
    folder: Path, place: Path, info: bundle.IndexInfo, *, moved: int | None = None, progress: Progress
) -> bundle.IndexInfo:
    """Finish an index whose vectors and gallery are in ``place``, and swap it into the bundle.

    Args:
        folder: The bundle.
        place: A folder on the same disk.
        info: What the index holds.
        moved: For a refresh, how many items came or went; what the bundle has is then built upon.
        progress: Told what is done, asked whether to stop.

    Raises:
        Cancelled: The user asked to stop.
    """
    before = None if moved is None else folder
    extra = write_index(place, info.kind, progress, before=before, moved=moved or 0)
    progress.check_cancelled()
    further = [name for name in FILES if (place / name).exists()]
    fresh = {name: place / name for name in (bundle.VECTORS, bundle.GALLERY, *extra, *further)}
    renew(folder, fresh, lambda manifest: manifest.with_index(info), drop=(bundle.CELLS, *FILES))
    return info
