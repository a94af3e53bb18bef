"""What runs on the executors while a catalogue is loaded: entries in, checked product rows with pictures out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from backend.catalogue.items import PRODUCT_COLUMNS
from backend.catalogue.sources import ENTRY_SCHEMA
from backend.errors import ImageRejected
from backend.imaging import ImageInfo, decode
from backend.pixel_spec import PixelSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from backend.catalogue.sources import Source

_ARROW_TYPES = {
    "string": pa.string(),
    "binary": pa.binary(),
    "int": pa.int32(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
# Rows on their way to the tables: a product's columns, and the reason that keeps a row out of ``products``.
ROW_SCHEMA = pa.schema([(name, _ARROW_TYPES[kind]) for name, kind, _ in PRODUCT_COLUMNS] + [("reason", pa.string())])
ROW_DDL = ", ".join(f"{name} {kind}" for name, kind, _ in PRODUCT_COLUMNS) + ", reason string"

# Pictures that are held at once; a picture of a shop has some 100 kB.
_CHUNK_ROWS = 256
# Every picture is decoded to its end, by the very steps that training and serving will take.
_CHECK_SPEC = PixelSpec(28, 28, 1)


@dataclass(frozen=True, slots=True)
class PictureCheck:
    """Reads and checks the pictures of entries; small when pickled.

    Attributes:
        source: Where the pictures come from.
        ingested_at: Time that all rows of this load carry.
        max_pixels: Largest width x height that is decoded.
    """

    source: Source
    ingested_at: datetime
    max_pixels: int

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Turn batches of :data:`entries.CHECKED_ENTRY_SCHEMA` into batches of :data:`ROW_SCHEMA`, row for row."""
        for batch in batches:
            for start in range(0, batch.num_rows, _CHUNK_ROWS):
                yield self._checked(batch.slice(start, _CHUNK_ROWS))

    def _checked(self, entries: pa.RecordBatch) -> pa.RecordBatch:
        pictures = self.source.read(entries)
        found = [self._look_at(picture) for picture in pictures]
        reasons = [known or seen for known, (_, seen) in zip(entries.column("reason").to_pylist(), found, strict=True)]
        infos = [info for info, _ in found]
        values = {name: entries.column(name) for name in ENTRY_SCHEMA.names if name != "position"}
        values |= {
            "image": pa.array(pictures, pa.binary()),
            "image_sha256": [hashlib.sha256(picture).hexdigest() if picture else None for picture in pictures],
            "width": [info.width if info else None for info in infos],
            "height": [info.height if info else None for info in infos],
            "channels": [info.channels if info else None for info in infos],
            "source": [self.source.name] * len(pictures),
            "ingested_at": [self.ingested_at] * len(pictures),
            "reason": reasons,
        }
        return pa.RecordBatch.from_pydict(values, schema=ROW_SCHEMA)

    def _look_at(self, picture: bytes | None) -> tuple[ImageInfo | None, str | None]:
        if picture is None:
            return None, "no_picture: The source has no picture for it."
        try:
            return decode(picture, _CHECK_SPEC, max_pixels=self.max_pixels).info, None
        except ImageRejected as error:
            return None, f"{error.code}: {error.message}"
