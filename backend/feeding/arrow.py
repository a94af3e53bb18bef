"""From a catalogue snapshot to decoded pictures on disk: encoded pictures in, a memory-mapped pixel table out.

Decoding happens once, by :mod:`backend.imaging.pixels`; epochs then read rows at random, and memory holds a few batches, the
ids and the labels, however many pictures there are. Rows stand in the order of their product ids, so that a table
depends on what the catalogue holds, and not on how its files are cut or which reader went through them.
"""

from __future__ import annotations

import logging
import math
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from backend.errors import CatalogueError
from backend.feeding.prefetch import made_ahead
from backend.feeding.readers import reader_for
from backend.feeding.shards import cut
from backend.feeding.split_index import index_split
from backend.files.storage import disk_error
from backend.imaging import pixels as imaging

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.errors import ImageRejected
    from backend.feeding.reader import StoredPictures
    from backend.feeding.readers import ReaderName
    from backend.feeding.shards import Shard
    from backend.feeding.split_index import SplitIndex
    from backend.imaging.spec import PixelSpec
    from backend.progress import Progress

    Mapped = np.memmap[Any, np.dtype[np.uint8]]

BATCH = 1024
_BATCHES_AHEAD = 2  # read while others are decoded
# Small pictures decode mostly in Python, where a second thread only waits for the interpreter.
_BYTES_WORTH_A_THREAD = 4096
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PixelTable:
    """Decoded pictures of one split, or of one rank's shard of it.

    Attributes:
        product_ids: Ascending; N texts.
        labels: Their labels; N texts.
        pixels: uint8 (N, H, W, C), memory-mapped.
        unreadable: Products that were left out because their picture cannot be read, ascending.
    """

    product_ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    pixels: NDArray[np.uint8]
    unreadable: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.product_ids)


def decode_split(
    snapshot: Snapshot,
    split: str,
    spec: PixelSpec,
    path: Path,
    *,
    progress: Progress,
    shard: Shard | None = None,
    reader: ReaderName = "arrow",
) -> PixelTable:
    """Decode the pictures of a split into the file ``path`` and open it memory-mapped.

    A picture that cannot be read is left out, logged and listed; it never stops the training.

    Args:
        snapshot: The catalogue version.
        split: Which split of it.
        spec: What the model sees.
        path: File for the pixels, written anew.
        progress: Hears decoded pictures; may cancel.
        shard: Only this rank's part of the split; None: all of it.
        reader: What goes through the files; the table is the same whichever does.

    Raises:
        ConfigurationError: The split cannot be cut into so many shards.
        EnvironmentUnready: The reader is not installed.
        CatalogueError: The files are damaged, or gone.
        StorageFull: There is no space for the pixels.
        Cancelled: The user asked to stop.
    """
    with _sentences(snapshot):
        index = index_split(snapshot, split)
        if shard is not None:
            index = cut(index, shard.ranks, seed=shard.seed, classes=shard.classes).shard(shard.rank)
        if not len(index):
            return PixelTable(index.product_ids, index.labels, np.empty((0, *spec.shape), dtype=np.uint8))
        pixels = _allocated(path, (len(index), *spec.shape))
        pictures = partial(reader_for(reader).pictures, index, batch_size=BATCH)
        batches = made_ahead(pictures, depth=_BATCHES_AHEAD)
        readable = _fill(pixels, index, batches, spec, progress, f"decoding the {split} split")
        _close_up(pixels, np.flatnonzero(readable))
        pixels.flush()
    unreadable = tuple(index.product_ids[~readable].tolist())
    kept = pixels[: len(index) - len(unreadable)]
    return PixelTable(index.product_ids[readable], index.labels[readable], kept, unreadable)


@contextmanager
def _sentences(snapshot: Snapshot) -> Iterator[None]:
    """Translate what pyarrow and the disk raise."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if (known := disk_error(error, "train again")) is not None:
            raise known from error
        raise CatalogueError(
            f"The pictures of {snapshot.name}, version {snapshot.version}, cannot be read: {error}",
            next_step="Look for lost or damaged files; another version of the catalogue may be whole.",
        ) from error


def _allocated(path: Path, shape: tuple[int, ...]) -> Mapped:
    """Return a new file as an array whose space is really there: a full disk is told now, not by a signal later."""
    size = math.prod(shape)
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # macOS has none
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)


def _fill(
    pixels: NDArray[np.uint8],
    index: SplitIndex,
    batches: Generator[StoredPictures],
    spec: PixelSpec,
    progress: Progress,
    note: str,
) -> NDArray[np.bool_]:
    """Decode batch by batch, each picture to its row; return whether each could be read, (N,)."""
    readable = np.zeros(len(index), dtype=np.bool_)
    done = 0
    threads = len(os.sched_getaffinity(0))
    with closing(batches), ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        for batch in batches:
            progress.check_cancelled()
            rejected = _decode_into(pixels, batch, spec, pool)
            readable[batch.rows] = True
            for place, error in rejected.items():
                readable[batch.rows[place]] = False
                logger.warning("left out of the training: %s: %s", index.product_ids[batch.rows[place]], error.message)
            done += len(batch)
            progress.report(done, len(index), unit="pictures", note=note)
    if done != len(index):
        raise CatalogueError(f"{len(index) - done} of {len(index)} pictures were not found in the catalogue's files.")
    return readable


def _decode_into(
    pixels: NDArray[np.uint8], batch: StoredPictures, spec: PixelSpec, pool: ThreadPoolExecutor
) -> dict[int, ImageRejected]:
    """Put the pictures of a batch into their rows; return why some of them cannot be read, by place in the batch."""
    if sum(map(len, batch.images)) < _BYTES_WORTH_A_THREAD * len(batch):
        pixels[batch.rows], rejected = imaging.decode_batch(batch.images, spec)
        return rejected

    def decode(row: int, image: bytes) -> ImageRejected | None:
        (pixels[row],), refused = imaging.decode_batch([image], spec)
        return refused.get(0)

    refusals = enumerate(pool.map(decode, batch.rows.tolist(), batch.images))
    return {place: error for place, error in refusals if error is not None}


def _close_up(pixels: NDArray[np.uint8], kept: NDArray[np.int64]) -> None:
    """Move the rows to keep to the front, on disk: all of them at once might not fit into memory."""
    if len(kept) < len(pixels):
        for start in range(0, len(kept), BATCH):
            rows = kept[start : start + BATCH]
            pixels[start : start + len(rows)] = pixels[rows]  # never over a row that is still to be moved
