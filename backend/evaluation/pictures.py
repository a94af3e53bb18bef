"""Decoded pictures of a catalogue on disk, so that several networks can be asked about them; memory holds one batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.errors import EvaluationError
from backend.evaluation.robustness import changed_batches
from backend.retrieval.gallery.gallery_rows import QUERY_SCHEMA, decoded_ahead

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.evaluation.robustness import Change
    from backend.imaging.spec import PixelSpec
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder

BATCH = 512  # pictures decoded, and embedded, at once


@dataclass(frozen=True, slots=True)
class Pictures:
    """The n readable pictures of some splits, in stored order.

    Attributes:
        ids: Their product ids; (n,).
        labels: Their labels; (n,).
        pixels: uint8 (n, H, W, C), memory-mapped.
        unreadable: How many were left out because they cannot be read.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    pixels: NDArray[np.uint8]
    unreadable: int

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class PictureReader:
    """Reads pictures of one catalogue version; the same splits for the same network are decoded once.

    Attributes:
        snapshot: The catalogue version.
        folder: Where the pixels go; must outlive what is read.
    """

    snapshot: Snapshot
    folder: Path
    _known: dict[Any, Pictures] = field(default_factory=dict, repr=False)

    def read(
        self,
        splits: Sequence[str],
        spec: PixelSpec,
        *,
        progress: Progress,
        only: tuple[str, ...] | None = None,
        change: Change | None = None,
        on_sale_only: bool = False,
    ) -> Pictures:
        """Decode the pictures of these splits, or those with these ids, as they are or changed.

        Raises:
            Cancelled: The user asked to stop.
            OSError: There is no space for the pixels.
        """
        key = (tuple(splits), spec, only, change, on_sale_only)
        if key not in self._known:
            path = self.folder / f"pixels-{len(self._known)}.uint8"
            columns = ["product_id", "label", "image"]
            batches = self.snapshot.batches(splits=splits, columns=columns, batch_size=BATCH, on_sale_only=on_sale_only)
            if only is not None:
                batches = (_only(batch, pa.array(only, pa.string())) for batch in batches)
            if change is not None:
                batches = changed_batches(batches, change)
            expected = len(only) if only is not None else self._count(splits)
            self._known[key] = _written(batches, spec, path, expected, progress)
        return self._known[key]

    def _count(self, splits: Sequence[str]) -> int:
        return sum(count for split, count in self.snapshot.summary().by_split.items() if split in splits)


def _only(batch: pa.RecordBatch, ids: pa.Array) -> pa.RecordBatch:
    return batch.filter(pc.is_in(batch.column("product_id"), value_set=ids))


def _written(batches: Any, spec: PixelSpec, path: Path, expected: int, progress: Progress) -> Pictures:
    ids: list[str] = []
    labels: list[str] = []
    unreadable = 0
    with path.open("wb") as sink:
        for part in decoded_ahead(batches, spec, QUERY_SCHEMA):
            progress.check_cancelled()
            ids += part.rows.column("product_id").to_pylist()
            labels += part.rows.column("label").to_pylist()
            unreadable += len(part.unreadable)
            sink.write(part.pixels.tobytes())
            done = len(ids) + unreadable
            progress.report(done, max(expected, done), unit="pictures", note="reading")
    shape = (len(ids), *spec.shape)
    pixels = np.memmap(path, np.uint8, "r", shape=shape) if ids else np.empty(shape, dtype=np.uint8)
    return Pictures(np.asarray(ids, dtype=np.str_), np.asarray(labels, dtype=np.str_), pixels, unreadable)


def embed(embedder: Embedder, pictures: Pictures, *, progress: Progress) -> NDArray[np.float32]:
    """Embed pictures batch by batch; float32 (n, D), in their order."""
    out = np.empty((len(pictures), embedder.size), dtype=np.float32)
    for start in range(0, len(pictures), BATCH):
        progress.check_cancelled()
        out[start : start + BATCH] = embedder.embed(np.ascontiguousarray(pictures.pixels[start : start + BATCH]))
        done = min(start + BATCH, len(pictures))
        progress.report(done, len(pictures), unit="pictures", note="embedding")
    return out


def embed_in_order(
    embedder: Embedder, pictures: Pictures, ids: NDArray[np.str_], path: Path, *, progress: Progress
) -> NDArray[np.float32]:
    """Embed the pictures of these ids, in their order, into a file; float32 (N, D), memory-mapped.

    Raises:
        EvaluationError: One of the ids has no readable picture.
    """
    order = np.argsort(pictures.ids)
    places = np.searchsorted(pictures.ids, ids, sorter=order).clip(max=max(len(order) - 1, 0))
    rows = order[places] if len(order) else np.zeros(len(ids), dtype=np.int64)
    if not len(order) or (pictures.ids[rows] != ids).any():
        raise EvaluationError(
            "The index contains products whose pictures are no longer in the catalogue.",
            next_step="Build the index of this model again: `python -m backend index`.",
        )
    with path.open("wb") as sink:
        for start in range(0, len(rows), BATCH):
            progress.check_cancelled()
            sink.write(embedder.embed(np.ascontiguousarray(pictures.pixels[rows[start : start + BATCH]])).tobytes())
            progress.report(min(start + BATCH, len(rows)), len(rows), unit="pictures", note="embedding")
    return np.memmap(path, np.float32, "r", shape=(len(rows), embedder.size))
