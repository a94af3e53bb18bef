"""From a catalogue snapshot to decoded pictures on disk: Arrow batches in, a memory-mapped pixel table out.

Decoding happens once, by :func:`backend.imaging.decode`; epochs then read rows at random, and memory holds a few
batches, the ids and the labels, however many pictures there are. Rows stand in the order of their product ids, so that
a table depends on what the catalogue holds and not on how its files are cut.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend import imaging
from backend.errors import ImageRejected, StorageFull, is_disk_full

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.pixel_spec import PixelSpec
    from backend.progress import Progress

BATCH = 1024
# Small pictures decode mostly in Python, where a second thread only waits for the interpreter.
_BYTES_WORTH_A_THREAD = 4096
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PixelTable:
    """Decoded pictures of one split.

    Attributes:
        product_ids: Ascending; N texts.
        labels: Their labels; N texts.
        pixels: uint8 (N, H, W, C), memory-mapped.
        unreadable: Products that were left out because their picture cannot be read.
    """

    product_ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    pixels: NDArray[np.uint8]
    unreadable: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.product_ids)


def decode_split(snapshot: Snapshot, split: str, spec: PixelSpec, path: Path, *, progress: Progress) -> PixelTable:
    """Decode every picture of a split into the file ``path`` and open it memory-mapped.

    A picture that cannot be read is left out, logged and listed; it never stops the training.

    Raises:
        StorageFull: There is no space for the pixels.
        Cancelled: The user asked to stop.
    """
    index = snapshot.columns(["product_id", "label"], splits=[split])
    ids = np.asarray(index.column("product_id").to_pylist(), dtype=np.str_)
    labels = np.asarray(index.column("label").to_pylist(), dtype=np.str_)
    if not len(ids):
        return PixelTable(ids, labels, np.empty((0, *spec.shape), dtype=np.uint8))
    try:
        pixels = np.memmap(path, dtype=np.uint8, mode="w+", shape=(len(ids), *spec.shape))
        unreadable = _fill(pixels, ids, snapshot, split, spec, progress)
        pixels.flush()
    except OSError as error:
        if is_disk_full(error):
            raise StorageFull("The disk is full.", next_step="Free some space and train again.") from error
        raise
    keep = ~np.isin(ids, unreadable)
    kept = pixels if keep.all() else pixels[keep]
    return PixelTable(ids[keep], labels[keep], kept, tuple(unreadable))


def _fill(
    pixels: NDArray[np.uint8],
    ids: NDArray[np.str_],
    snapshot: Snapshot,
    split: str,
    spec: PixelSpec,
    progress: Progress,
) -> list[str]:
    """Decode batch by batch, each picture to the row of its id; return the ids of unreadable ones."""
    unreadable: list[str] = []
    done = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="decode") as pool:
        for batch in snapshot.batches(splits=[split], columns=["product_id", "image"], batch_size=BATCH):
            progress.check_cancelled()
            names = batch.column("product_id").to_pylist()
            images = batch.column("image").to_pylist()
            for name, row, picture in zip(
                names, np.searchsorted(ids, names), _decoded(images, spec, pool), strict=True
            ):
                if isinstance(picture, ImageRejected):
                    unreadable.append(name)
                    logger.warning("left out of the training: %s: %s", name, picture.message)
                else:
                    pixels[row] = picture
            done += len(names)
            progress.report(done, len(ids), unit="pictures", note=f"decoding the {split} split")
    return unreadable


def _decoded(
    images: Sequence[bytes], spec: PixelSpec, pool: ThreadPoolExecutor
) -> list[NDArray[np.uint8] | ImageRejected]:
    def one(data: bytes) -> NDArray[np.uint8] | ImageRejected:
        try:
            return imaging.decode(data, spec).pixels
        except ImageRejected as error:
            return error

    large = sum(map(len, images)) >= _BYTES_WORTH_A_THREAD * len(images)
    return list(pool.map(one, images) if large else map(one, images))
