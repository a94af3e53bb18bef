"""The two built-in sources: Fashion-MNIST's official files, and the sample shop that is drawn by code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from backend.catalogue.sources import fashion_mnist
from backend.catalogue.sources.sources import ENTRY_SCHEMA, entry_table
from backend.imaging.pixels import encode_png

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.sources.sources import Picture
    from backend.sample.shop import SampleProduct


@dataclass(frozen=True, slots=True)
class FashionMnistSource:
    """The official files in ``folder``, which every executor must see at the same path.

    Pictures become lossless PNGs of 28 x 28 greys. Ids count from zero as the files do: ``fm-test-00000`` is the first
    picture of the test file.
    """

    folder: Path
    name: str = "fashion-mnist"

    def entries(self) -> pa.Table:
        """List train and test, in file order.

        Raises:
            DatasetUnavailable: A file is missing.
            DatasetDamaged: A file is no IDX file.
        """
        train = fashion_mnist.read_labels(self.folder / fashion_mnist.TRAIN_LABELS)
        test = fashion_mnist.read_labels(self.folder / fashion_mnist.TEST_LABELS)
        table = pa.concat_tables([_labelled(train, "train", start=0), _labelled(test, "test", start=len(train))])
        return table.combine_chunks()

    def read(self, entries: pa.RecordBatch) -> list[Picture]:
        """Encode the pictures of these entries; the files are unpacked once in a worker process."""
        train, test = self._pictures(fashion_mnist.TRAIN_IMAGES), self._pictures(fashion_mnist.TEST_IMAGES)
        pictures: list[Picture] = []
        for position in entries.column("position").to_pylist():
            part, row = (train, position) if position < len(train) else (test, position - len(train))
            pictures.append(encode_png(part[row]) if row < len(part) else None)
        return pictures

    def _pictures(self, name: str) -> NDArray[np.uint8]:
        path = self.folder / name
        return _unpacked(path, path.stat().st_mtime_ns)


@dataclass(frozen=True, slots=True)
class SampleSource:
    """The products drawn by :mod:`backend.sample.shop`: the first ``count`` of them, or all."""

    count: int | None = None
    name: str = "sample"

    def entries(self) -> pa.Table:
        """List the products; nothing is drawn."""
        products = _sample(self.count)
        columns = [name for name in ENTRY_SCHEMA.names if hasattr(products[0], name)]
        values = {name: [getattr(product, name) for product in products] for name in columns}
        return entry_table({**values, "position": range(len(products))})

    def read(self, entries: pa.RecordBatch) -> list[Picture]:
        """Draw these products."""
        from backend.sample import shop

        products = _sample(self.count)
        return [shop.draw(products[position]) for position in entries.column("position").to_pylist()]


def _labelled(labels: NDArray[np.uint8], split: str, *, start: int) -> pa.Table:
    names, categories = np.array(fashion_mnist.LABELS), np.array(fashion_mnist.CATEGORIES)
    count = len(labels)
    values: dict[str, Any] = {
        "product_id": [f"fm-{split}-{row:05d}" for row in range(count)],
        "label": names[labels],
        "split": [split] * count,
        "title": [f"{name} {row:05d}" for row, name in enumerate(names[labels])],
        "category": categories[labels],
        "position": np.arange(start, start + count),
    }
    return entry_table(values)


@lru_cache(maxsize=2)
def _unpacked(path: Path, _modified_ns: int) -> NDArray[np.uint8]:
    """Keep the two files' pictures for the next part that this worker process gets; a changed file is read again."""
    return fashion_mnist.read_images(path)


@lru_cache(maxsize=2)
def _sample(count: int | None) -> list[SampleProduct]:
    from backend.sample import shop

    return shop.sample_products() if count is None else shop.sample_products(count)
