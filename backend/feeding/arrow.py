"""From a catalogue snapshot to decoded pictures on disk: encoded pictures in, a memory-mapped pixel table out.

Decoding happens once, by :mod:`backend.imaging.pixels`; epochs then read rows at random, and memory holds a few batches, the
ids and the labels, however many pictures there are. Rows stand in the order of their product ids, so that a table
depends on what the catalogue holds, and not on how its files are cut or which reader went through them. What a cache holds
is not made again; encoded pictures are read in any case, as only their bytes say what they are.
"""

from __future__ import annotations

import logging
import math
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from backend.errors import CatalogueError
from backend.feeding.content_cache import contract_of, keys_of
from backend.feeding.prefetch import made_ahead
from backend.feeding.readers import reader_for
from backend.feeding.shards import cut
from backend.feeding.split_index import index_split
from backend.files.storage import disk_error
from backend.imaging import pixels as imaging

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.errors import ImageRejected
    from backend.feeding.content_cache import CacheFolder, ContentCache
    from backend.feeding.reader import StoredPictures
    from backend.feeding.readers import ReaderName
    from backend.feeding.shards import Shard
    from backend.feeding.split_index import SplitIndex
    from backend.imaging.spec import PixelSpec
    from backend.progress import Progress

    # Encoded pictures, B, to values (B, ...), and why some pictures cannot be read, by their places among them.
    Make = Callable[[Sequence[bytes]], tuple[NDArray[Any], dict[int, ImageRejected]]]

BATCH = 256  # pictures that are read, looked up and made at once
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
        pixels: uint8 (N, H, W, C), memory-mapped; or features in their place, float16 (N, F).
        unreadable: Products that were left out because their picture cannot be read, ascending.
    """

    product_ids: NDArray[np.str_]
    labels: NDArray[np.str_]
    pixels: NDArray[Any]
    unreadable: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.product_ids)


class Values(NamedTuple):
    """What a table holds of each picture.

    Attributes:
        shape: Of one picture.
        dtype: Ditto.
        make: Makes them.
        cache: Holds what was made before, and is given what is made.
        note: What is being done, for the progress.
    """

    shape: tuple[int, ...]
    dtype: type[np.generic]
    make: Make
    cache: ContentCache | None
    note: str


def decode_split(  # noqa: PLR0913 - what is read, and where to; all else may be left out
    snapshot: Snapshot,
    split: str,
    spec: PixelSpec,
    path: Path,
    *,
    progress: Progress,
    shard: Shard | None = None,
    reader: ReaderName = "arrow",
    cache: CacheFolder | None = None,
) -> PixelTable:
    """Decode the pictures of a split into the file ``path`` and open it memory-mapped.

    A picture that cannot be read is left out, logged and listed; it never stops the training.

    Args:
        snapshot: The catalogue version.
        split: Which split of it.
        spec: What the model sees.
        path: File for the pixels; overwritten.
        progress: Hears decoded pictures; may cancel.
        shard: Only this rank's part of the split; None: all of it.
        reader: What goes through the files; the table is the same whichever does.
        cache: What it holds is not decoded again; the table is the same with it and without.

    Raises:
        ConfigurationError: The split cannot be cut into so many shards.
        EnvironmentUnready: The reader is not installed.
        CatalogueError: The files are damaged, or gone.
        StorageFull: There is no space for the pixels.
        Cancelled: The user asked to stop.
    """
    kept = cache.space(f"pixels-{contract_of(spec)}", spec.shape, np.uint8) if cache else None
    with decoder(spec) as decode:
        values = Values(spec.shape, np.uint8, decode, kept, f"decoding the {split} split")
        return make_table(snapshot, split, values, path, progress=progress, shard=shard, reader=reader)


def make_table(
    snapshot: Snapshot,
    split: str,
    values: Values,
    path: Path,
    *,
    progress: Progress,
    shard: Shard | None = None,
    reader: ReaderName = "arrow",
) -> PixelTable:
    """Make values of the pictures of a split; all else is as :func:`decode_split` says."""
    with _sentences(snapshot):
        index = index_split(snapshot, split)
        if shard is not None:
            index = cut(index, shard.ranks, seed=shard.seed, classes=shard.classes).shard(shard.rank)
        if not len(index):
            return PixelTable(index.product_ids, index.labels, np.empty((0, *values.shape), dtype=values.dtype))
        table = _allocated(path, (len(index), *values.shape), np.dtype(values.dtype))
        pictures = partial(reader_for(reader).pictures, index, batch_size=BATCH)
        filling = _Filling(table, index, values, progress)
        filling.take_all(made_ahead(pictures, depth=_BATCHES_AHEAD))
        readable = filling.readable
        _close_up(table, np.flatnonzero(readable))
        table.flush()
    unreadable = tuple(index.product_ids[~readable].tolist())
    kept = table[: len(index) - len(unreadable)]
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


def _allocated(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.memmap[Any, Any]:
    """Return a new file as an array whose space is really there: a full disk is told now, not by a signal later."""
    size = math.prod(shape) * dtype.itemsize
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # macOS has none
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)


class _Filling:
    """Fills a table (N, ...) with values of an index's pictures, each in its row; ``readable`` tells which could be read, (N,).

    Those that the cache does not hold wait until there are enough for a batch.
    """

    def __init__(self, table: NDArray[Any], index: SplitIndex, values: Values, progress: Progress) -> None:
        self._table, self._index, self._values, self._progress = table, index, values, progress
        self.readable = np.zeros(len(index), dtype=np.bool_)
        self._waiting: list[tuple[int, str, bytes]] = []  # row, key, picture
        self._done = 0

    def take_all(self, batches: Generator[StoredPictures]) -> None:
        """Fill the table from pictures that come in any order."""
        with closing(batches):
            for batch in batches:
                self._take(batch)
                while len(self._waiting) >= BATCH:
                    self._make()
        while self._waiting:
            self._make()
        if missing := len(self._index) - self._done:
            raise CatalogueError(f"{missing} of {len(self._index)} pictures were not found in the catalogue's files.")

    def _take(self, batch: StoredPictures) -> None:
        """Look up what was made before; what was not has to wait."""
        self._progress.check_cancelled()
        keys, is_there = [""] * len(batch), np.zeros(len(batch), dtype=np.bool_)
        if self._values.cache is not None:
            keys = keys_of(batch.images)
            values, is_there = self._values.cache.get(keys)
            self._put(batch.rows[is_there], values[is_there])
        waiting = zip(batch.rows.tolist(), keys, batch.images, strict=True)
        self._waiting += [one for one, there in zip(waiting, is_there, strict=True) if not there]
        self._tell(int(is_there.sum()))

    def _make(self) -> None:
        """Make a batch of what waits, or what is left of it."""
        self._progress.check_cancelled()
        rows, keys, images = zip(*self._waiting[:BATCH], strict=True)
        self._waiting = self._waiting[BATCH:]
        values, rejected = self._values.make(images)
        for place, error in rejected.items():
            name = self._index.product_ids[rows[place]]
            logger.warning("left out of the training: %s: %s", name, error.message)
        good = [place for place in range(len(rows)) if place not in rejected]
        self._put(np.array(rows)[good], values[good])
        if self._values.cache is not None:
            self._values.cache.put([keys[place] for place in good], values[good])
        self._tell(len(rows))

    def _put(self, rows: NDArray[np.int64], values: NDArray[Any]) -> None:
        self._table[rows] = values
        self.readable[rows] = True

    def _tell(self, count: int) -> None:
        self._done += count
        if count:
            self._progress.report(self._done, len(self._index), unit="pictures", note=self._values.note)


@contextmanager
def decoder(spec: PixelSpec) -> Iterator[Make]:
    """Give what decodes pictures to uint8 (B, H, W, C), on all cores."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="decode") as pool:
        yield partial(_decoded, spec, pool)


def _decoded(
    spec: PixelSpec, pool: ThreadPoolExecutor, images: Sequence[bytes]
) -> tuple[NDArray[np.uint8], dict[int, ImageRejected]]:
    if sum(map(len, images)) < _BYTES_WORTH_A_THREAD * len(images):
        return imaging.decode_batch(images, spec)
    pixels = np.empty((len(images), *spec.shape), dtype=np.uint8)

    def decode(place: int) -> ImageRejected | None:
        (pixels[place],), refused = imaging.decode_batch([images[place]], spec)
        return refused.get(0)

    refusals = enumerate(pool.map(decode, range(len(images))))
    return pixels, {place: error for place, error in refusals if error is not None}


def _close_up(pixels: NDArray[Any], kept: NDArray[np.int64]) -> None:
    """Move the rows to keep to the front, on disk: all of them at once might not fit into memory."""
    if len(kept) < len(pixels):
        for start in range(0, len(kept), BATCH):
            rows = kept[start : start + BATCH]
            pixels[start : start + len(rows)] = pixels[rows]  # never over a row that is still to be moved
