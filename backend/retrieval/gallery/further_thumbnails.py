"""The small pictures of products beside their first ones, each once by its hash, so that an answer shows what it was found by.

They stay on disk: an answer reads a few of them, a small row group each. A bundle of an earlier version has none.
"""

from __future__ import annotations

from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backend.bundles import bundle
from backend.retrieval.gallery.gallery_file import GalleryFile
from backend.retrieval.gallery.gallery_rows import QUERY_SCHEMA, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from backend.retrieval.gallery.embedding import Embedded

# What is kept of further pictures while they are embedded; their ids are their hashes.
EMBEDDED = pa.schema([*QUERY_SCHEMA, SCHEMA.field("thumbnail")])
_SCHEMA = pa.schema([pa.field("image_sha256", pa.string(), nullable=False), SCHEMA.field("thumbnail")])
_GROUP = 64  # rows; some 250 kB, which is what showing one costs


class FurtherThumbnails:
    """Small pictures by the hash of the picture; threads may share it.

    Args:
        folder: A bundle that has been verified.

    Raises:
        BundleError: Its file is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._hashes = None, np.empty(0, dtype="S64")
        if (folder / bundle.FURTHER_THUMBNAILS).exists():
            self._file = GalleryFile(folder, bundle.FURTHER_THUMBNAILS, _SCHEMA)
            self._hashes = np.asarray(self._file.read(["image_sha256"])["image_sha256"].to_pylist(), dtype="S64")
            self._starts = np.cumsum([0, *self._file.group_sizes])
        self._lock = Lock()  # a Parquet file is read by one thread at a time

    def __contains__(self, sha256: str) -> bool:
        return self._row(sha256) is not None

    def get(self, sha256: str) -> bytes | None:
        """Return a picture: PNG or WEBP bytes; None where the bundle does not have it."""
        row = self._row(sha256)
        if row is None or self._file is None:
            return None
        group = int(np.searchsorted(self._starts, row, "right")) - 1
        with self._lock:
            found = self._file.read_group(group, ["thumbnail"])["thumbnail"]
        return bytes(found[row - int(self._starts[group])].as_py())

    def _row(self, sha256: str) -> int | None:
        wanted = np.bytes_(sha256)
        row = int(np.searchsorted(self._hashes, wanted))
        return row if row < len(self._hashes) and self._hashes[row] == wanted else None


def keep_thumbnails(
    folder: Path, embed: Callable[[Callable[[pa.RecordBatch], None]], Embedded]
) -> tuple[str, Embedded]:
    """Embed pictures, and write their small ones to a file in ``folder`` as they come; returns the file's name."""
    name = f"further-{uuid4().hex}.arrow"  # what is tried again leaves an old one behind, which nobody names
    with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_file(sink, EMBEDDED) as writer:
        return name, embed(writer.write_batch)


def write_thumbnails(place: Path, hashes: Iterable[str], parts: Iterable[str], before: FurtherThumbnails) -> None:
    """Write the small pictures of these hashes, out of what :func:`keep_thumbnails` wrote, or an earlier index has."""
    made = {hash_: at for part in parts for hash_, at in _rows_of(place / part)}
    ascending = iter(sorted(set(hashes)))
    with pq.ParquetWriter(place / bundle.FURTHER_THUMBNAILS, _SCHEMA, compression="none") as writer:
        while names := list(islice(ascending, _GROUP)):
            shown = [made[name]() if name in made else before.get(name) for name in names]
            writer.write_table(pa.table([names, shown], schema=_SCHEMA))


def _rows_of(path: Path) -> Iterable[tuple[str, Callable[[], bytes]]]:
    """Return what reads each small picture of a file; it is memory-mapped, not read."""
    with pa.memory_map(str(path)) as source:
        batches = pa.ipc.open_file(source)
        for number in range(batches.num_record_batches):
            batch = batches.get_batch(number)
            for row, name in enumerate(batch.column("product_id").to_pylist()):
                yield name, batch.column("thumbnail")[row].as_py
