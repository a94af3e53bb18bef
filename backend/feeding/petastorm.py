"""The second adapter: Petastorm's batch reader over the Parquet files of exactly one catalogue version.

Petastorm knows Parquet and nothing of Delta: it reads files whole, rows behind a deletion vector too, and those of
other splits and shards. So every picture that it gives is looked up by its hash, given to all rows that show it, and
dropped where none is left.

Petastorm 0.13.1 sometimes ends too early: it sees that all row groups handed out so far are done, then that the last one
has been handed out, which happened in between. Asked again after that, it is right: nothing more is handed out.
"""

from __future__ import annotations

import warnings
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import numpy as np
import pyarrow as pa

from backend.catalogue.sources.parquet.files import readable
from backend.errors import CatalogueError, EnvironmentUnready
from backend.feeding.reader import StoredPictures

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.feeding.split_index import SplitIndex

_WORKERS = 2
_WAITING_GROUPS = 4  # row groups that are read ahead


class PetastormReader:
    """Reads by ``petastorm.make_batch_reader``, in threads that end with the iterator."""

    def pictures(self, index: SplitIndex, *, batch_size: int) -> Generator[StoredPictures]:
        """Yield every row of ``index`` once; see :class:`backend.feeding.reader.SplitReader`."""
        wanted = _Wanted(index)
        files = list(dict.fromkeys(group.path for group, _, _ in index.groups()))
        if not files:
            return
        reader = _open([_url(path) for path in files], wanted.columns)
        try:
            for group in chain(reader, reader):  # its first end may come before its last row group
                given, rows = wanted.rows_of(group)
                for start in range(0, len(given), batch_size):
                    part = slice(start, start + batch_size)
                    yield StoredPictures(rows[part], group.image[given[part]].tolist())
        finally:  # not as a context manager: that prints
            reader.stop()
            reader.join()


class _Wanted:
    """The rows that are asked for, and which of them have come."""

    def __init__(self, index: SplitIndex) -> None:
        hashes = _hashes(index)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self._came = np.zeros(len(index), dtype=np.bool_)

    columns = ("image_sha256", "image")

    def rows_of(self, group: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which rows of a batch are wanted and new, once for each product, and their places in the index."""
        asked = np.asarray(group.image_sha256, dtype=np.str_)
        first, last = (np.searchsorted(self._hashes, asked, side=side) for side in ("left", "right"))
        given = np.repeat(np.arange(len(asked)), last - first)
        within = np.arange(len(given)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
        rows, once = np.unique(self._order[first[given] + within], return_index=True)
        fresh = ~self._came[rows]
        self._came[rows] = True
        return given[once[fresh]], rows[fresh]


def _hashes(index: SplitIndex) -> NDArray[np.str_]:
    """Return the hash of each row's picture: it tells which of the rows in a file are there, whatever they were."""
    column = index.source.table(["image_sha256"])["image_sha256"].take(pa.array(index.stored))
    if column.null_count:
        raise CatalogueError(
            "This catalogue has no hashes of its pictures: Petastorm cannot determine which rows are left.",
            next_step="Use the Arrow reader.",
        )
    return np.asarray(column.to_pylist(), dtype=np.str_)


def _url(path: Path) -> str:
    """Return a file's address as Petastorm takes it, that is without quoting."""
    if readable(path) is not path:
        raise CatalogueError(
            f"Petastorm cannot read {path.name}: it was written by a newer library, such as deltalake after a delete.",
            next_step="Use the Arrow reader.",
        )
    url = f"file://{path}"
    if urlparse(url).path != str(path):
        raise CatalogueError(
            f"Petastorm cannot read {path}: it misinterprets part of the path.",
            next_step="Use the Arrow reader, or store catalogues in a folder without #, ? and ; in its path.",
        )
    return url


def _open(urls: list[str], columns: Sequence[str]) -> Any:
    try:
        from petastorm import make_batch_reader
    except ImportError as error:
        raise EnvironmentUnready(
            f"Petastorm cannot be used here: {error}.",
            next_step="Install it with `make setup`, or use the Arrow reader.",
        ) from error
    # Its own calls of deprecated functions and files that it leaves to the garbage collector, in several threads.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"petastorm\.")
    warnings.filterwarnings("ignore", message=r"unclosed file .*\.parquet", category=ResourceWarning)
    return make_batch_reader(
        urls,
        schema_fields=[f"^{name}$" for name in columns],
        reader_pool_type="thread",
        workers_count=_WORKERS,
        results_queue_size=_WAITING_GROUPS,
        shuffle_row_groups=False,
        num_epochs=1,
    )
