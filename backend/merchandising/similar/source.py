"""What the table is made from: the index and the gallery of one bundle, and what tells which of its products changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from backend.bundles import bundle
from backend.errors import RetrievalError
from backend.retrieval.calibration import Calibration
from backend.retrieval.closeness import Judge, Spread
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.indexes.further import PicturesIndex, with_further
from backend.retrieval.indexes.kinds import open_index
from backend.retrieval.rules.rule import NAMED_BY

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from backend.bundles.manifest import IndexInfo, Manifest
    from backend.retrieval.indexes.index import Index

_DIGEST = 8  # bytes
_SEED, _ROWS = 28, 8_192
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Source:
    """A bundle that has an index.

    Attributes:
        manifest: What the bundle says of itself.
        index: Its embeddings; a search misses none.
        gallery: Its N products.
        calibration: What its similarities are worth, where it was evaluated.
    """

    manifest: Manifest
    index: Index
    gallery: Gallery
    calibration: Calibration | None = None

    @classmethod
    def open(cls, folder: Path) -> Source:
        """Open a bundle that has been verified; vectors stay on the disk until they are looked at.

        Raises:
            RetrievalError: It has no index yet.
        """
        manifest = bundle.read_manifest(folder)
        index = with_further(open_index(folder, manifest), folder).exact
        calibration = Calibration.load(folder, classes=len(manifest.classes))
        fits = calibration is not None and calibration.weights_hash == manifest.weights_hash
        return cls(manifest, index, Gallery.load(folder), calibration if fits else None)

    @property
    def info(self) -> IndexInfo:
        """What the index holds."""
        if self.manifest.index is None:
            raise RetrievalError(
                f"{self.manifest.name} has no index yet.", next_step="Build it: `python -m backend index`."
            )
        return self.manifest.index

    @cached_property
    def judge(self) -> Judge:
        """What says which similarities are matches."""
        first = self.index.first if isinstance(self.index, PicturesIndex) else self.index
        return Judge(self.calibration, Spread.of(first, self.gallery.splits))

    @cached_property
    def ids(self) -> pa.Array:
        """Product ids, ascending."""
        return self.gallery.id_column

    @cached_property
    def prints(self) -> NDArray[np.uint64]:
        """A number for each product, (N,), that is another one once a picture or its group changed."""
        found = _hashed(self.index.embeddings(np.arange(self.index.size)))
        if isinstance(self.index, PicturesIndex):
            further = self.index.further
            np.add.at(found, further.owners, _hashed(further.vectors) * (further.positions + 1).astype(np.uint64))
        return found + self._texts("group_id")

    @cached_property
    def names(self) -> NDArray[np.uint64]:
        """A number for each product, (N,), that is another one once its name in a column that rules may go by changed."""
        found = np.zeros(self.gallery.size, dtype=np.uint64)
        for name in NAMED_BY:
            found = found * _FACTOR + self._texts(name)
        return found

    def _texts(self, name: str) -> NDArray[np.uint64]:
        """Return a number for each product's text, 0 where there is none."""
        known, codes = self.gallery.codes(name)
        digests = [blake2b(text.encode(), digest_size=_DIGEST).digest() for text in known]
        return np.append(_numbers(digests), np.uint64(0))[codes]


def _hashed(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a number for each vector, (N,): a sum of its bits by random factors, modulo 2 to the 64th."""
    factors = np.random.default_rng(_SEED).integers(0, 2**64, vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    found = np.empty(len(vectors), dtype=np.uint64)
    for start in range(0, len(vectors), _ROWS):
        bits = np.ascontiguousarray(vectors[start : start + _ROWS]).view(np.uint32)
        found[start : start + _ROWS] = (bits * factors).sum(axis=1, dtype=np.uint64)
    return found


def _numbers(digests: list[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join(digests), dtype=np.uint64)
