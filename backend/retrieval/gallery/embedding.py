"""Pictures of a catalogue to embeddings, streamed: in memory are, at any time, two batches of pictures, and all vectors.

A picture gets the same embedding to the last bit whether the whole gallery is embedded, or it alone because it is new:
libraries add up in another order for another size of batch, so that all batches are filled up to one size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.retrieval.embedder import RememberingEmbedder
from backend.retrieval.gallery.gallery_rows import SCHEMA, decoded_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder

BATCH = 512  # pictures decoded and embedded at once
WITH_PICTURES = (
    *(name for name in SCHEMA.names if name != "thumbnail"),
    "image",
)  # columns that a gallery is made from


@dataclass(slots=True)
class Embedded:
    """What is kept in memory of the pictures read so far.

    Attributes:
        ids, labels: Of the readable ones, in the order read.
        vectors: Their embeddings, a matrix a batch.
        places: Where each row is among the batches that were kept: (batch, row in it).
    """

    ids: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)


def embed_batches(
    batches: Iterable[pa.RecordBatch],
    embedder: Embedder,
    schema: pa.Schema,
    *,
    total: int,
    progress: Progress,
    keep: Callable[[pa.RecordBatch], None],
) -> Embedded:
    """Run pictures through the network once; one that cannot be read is left out, logged, and counted in the note.

    Args:
        batches: Rows with a column ``image``.
        embedder: The network.
        schema: Columns that ``keep`` gets; see :func:`backend.retrieval.gallery.gallery_rows.decoded_ahead`.
        total: Rows expected, for the progress.
        progress: Told the pictures done, asked whether to stop.
        keep: Gets the readable rows as they come.

    Raises:
        Cancelled: The user asked to stop.
    """
    found = Embedded()
    skipped = 0
    for number, part in enumerate(decoded_ahead(batches, embedder.spec, schema)):
        progress.check_cancelled()
        found.ids += part.rows.column("product_id").to_pylist()
        found.labels += part.rows.column("label").to_pylist()
        found.places += [(number, row) for row in range(part.rows.num_rows)]
        keep(part.rows)
        if len(part.pixels):
            found.vectors.append(embed_evenly(embedder, part.pixels, part.images))
        skipped += len(part.unreadable)
        done = len(found.ids) + skipped
        note = f"{skipped:,} unreadable, left out" if skipped else ""
        progress.report(done, max(total, done), unit="pictures", note=note)
    return found


def batches_of(snapshot: Snapshot, ids: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read the rows of some products with their pictures, in stored order, a batch at a time."""
    stored = snapshot.rows.table(["product_id"])["product_id"]
    positions = np.sort(np.asarray(pc.index_in(pa.array(ids, pa.string()), value_set=stored).drop_null()))
    for start in range(0, len(positions), BATCH):
        yield from snapshot.rows.take(positions[start : start + BATCH], WITH_PICTURES).combine_chunks().to_batches()


def embed_evenly(embedder: Embedder, pixels: NDArray[Any], images: pa.Array | None = None) -> NDArray[np.float32]:
    """Embed pictures (N, H, W, C) in batches of one size; what is missing in the last one is black.

    Where the encoded pictures are given, what the embedder remembers of them is not computed again.
    """
    if images is not None and isinstance(embedder, RememberingEmbedder):
        return embedder.embed_pictures(pixels, images.to_pylist())
    missing = -len(pixels) % embedder.batch
    if not missing:
        return embedder.embed(pixels)
    filled = np.concatenate([pixels, np.zeros((missing, *pixels.shape[1:]), dtype=pixels.dtype)])
    return embedder.embed(filled)[: len(pixels)]
