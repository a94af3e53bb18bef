"""Embed the further pictures of a gallery's products; what an earlier index of the same network has is not made again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.bundles import bundle
from backend.retrieval.gallery.embedding import BATCH, embed_batches
from backend.retrieval.gallery.further_thumbnails import (
    EMBEDDED,
    FurtherThumbnails,
    keep_thumbnails,
    write_thumbnails,
)
from backend.retrieval.gallery.gallery_rows import QUERY_SCHEMA
from backend.retrieval.indexes.further import Further
from backend.retrieval.indexes.kinds import load_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder

    Embed = Callable[[list[str]], "Made"]


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of pictures: hashes of those that can be read, their embeddings, and files with their thumbnails.

    The files are in the folder of the index; see :func:`keep_thumbnails`.
    """

    names: list[str]
    vectors: NDArray[np.float32]
    parts: list[str]


def embedded_here(snapshot: Snapshot, network: Callable[[], Embedder], place: Path, progress: Progress) -> Embed:
    """Give what embeds pictures of a catalogue in this process, for the index that is made in ``place``."""

    def embed(hashes: list[str]) -> Made:
        rows = partial(
            embed_batches, _batches(snapshot, hashes), network(), EMBEDDED, total=len(hashes), progress=progress
        )
        part, found = keep_thumbnails(place, lambda keep: rows(keep=keep))
        vectors = np.concatenate(found.vectors) if found.vectors else np.empty((0, 0), dtype=np.float32)
        return Made(found.ids, vectors, [part])

    return embed


def write_further(snapshot: Snapshot, place: Path, embed: Embed, *, before: Path | None = None) -> None:
    """Write the further pictures of the products whose gallery and vectors are in ``place``; no file where there are none.

    A picture that cannot be read is left out.

    Args:
        snapshot: The catalogue's version.
        place: A folder with ``gallery.parquet`` and ``vectors.npy``.
        embed: Makes embeddings.
        before: A bundle with an earlier index by the same network and pixels.
    """
    ids = pq.read_table(place / bundle.GALLERY, columns=["product_id"])["product_id"].combine_chunks()
    rows = snapshot.further_pictures()
    owners = pc.index_in(rows["product_id"], value_set=ids).combine_chunks()
    rows = rows.append_column("owner", owners).filter(pc.is_valid(owners))
    if not len(rows):
        return
    rows = rows.sort_by([("owner", "ascending"), ("position", "ascending")])
    names = rows["image_sha256"].to_pylist()
    shown = FurtherThumbnails(before or place)
    vectors, at, parts = _vectors(list(dict.fromkeys(names)), embed, before, shown, load_vectors(place).shape[1])
    kept = np.flatnonzero([name in at for name in names])
    if len(kept):
        chosen = rows.take(pa.array(kept))
        hashes = [bytes.fromhex(names[row]) for row in kept]
        Further(
            owners=chosen["owner"].to_numpy().astype(np.int32),
            positions=chosen["position"].to_numpy().astype(np.int32),
            hashes=np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(kept), -1),
            vectors=vectors[[at[names[row]] for row in kept]],
        ).save(place)
        write_thumbnails(place, (names[row] for row in kept), parts, shown)


def _vectors(
    names: list[str], embed: Embed, before: Path | None, shown: FurtherThumbnails, dimensions: int
) -> tuple[NDArray[np.float32], dict[str, int], list[str]]:
    """Return embeddings, where among them each of these pictures has its own, and files with thumbnails of the new ones.

    One without a thumbnail, as earlier versions made them, is made again.
    """
    old = Further.load(before, size=np.iinfo(np.int32).max, dimensions=dimensions) if before else None
    known = {name.tobytes().hex(): row for row, name in enumerate(old.hashes)} if old is not None else {}
    known = {name: row for name, row in known.items() if name in shown}
    held = np.empty((0, dimensions), dtype=np.float32) if old is None else np.asarray(old.vectors)
    fresh = [name for name in names if name not in known]
    if not fresh:
        return held, known, []
    made = embed(fresh)
    at = known | {name: len(held) + row for row, name in enumerate(made.names)}
    return np.concatenate([held, made.vectors.reshape(-1, dimensions)]), at, made.parts


def _batches(snapshot: Snapshot, hashes: list[str]) -> Iterator[pa.RecordBatch]:
    """Read pictures as rows that a gallery is made from, named by their hashes, in the order in which they are stored."""
    places = snapshot.rows.places(pa.chunked_array([pa.array(hashes, pa.string())]))
    order = np.argsort(places)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        rows = snapshot.rows.pictures.take(places[part], ["image_sha256", "image"])
        names = [*QUERY_SCHEMA.names, "image"]
        labels = pa.array([""] * len(rows), pa.string())
        yield from pa.table([rows["image_sha256"], labels, rows["image"]], names=names).combine_chunks().to_batches()
