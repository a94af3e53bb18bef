"""The door to Spark for indexes: the gallery of a catalogue is embedded by partition, where its pictures are.

The network travels to the executors once, as a broadcast. Each writes what is shown of its products, small pictures
included, beside the bundle, where all machines see it; only ids and embeddings come back to the driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.bundles import bundle
from backend.catalogue.delta.delta_table import spark_errors
from backend.catalogue.items import GALLERY_SPLITS, PRODUCTS
from backend.catalogue.pictured import HASH, IMAGE, place_of_pictures
from backend.errors import RetrievalError
from backend.files.scratch import own_folder
from backend.files.storage import disk_watched
from backend.progress import NullProgress
from backend.retrieval.gallery.embedding import BATCH, embed_batches
from backend.retrieval.gallery.further_pictures import Made, write_further
from backend.retrieval.gallery.further_thumbnails import EMBEDDED, keep_thumbnails
from backend.retrieval.gallery.gallery_rows import SCHEMA, write_sorted
from backend.retrieval.indexes.index_files import described, put_in_place
from backend.retrieval.indexes.kinds import EXACT
from backend.spark.cluster import slots
from backend.spark.executors import spare_zip_imports
from backend.spark.jobs import run_watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyspark.sql import DataFrame, SparkSession

    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder
    from backend.retrieval.gallery.further_pictures import Embed
    from backend.retrieval.indexes.kinds import Kind

_PARTS_A_CORE = 4  # so that the progress moves and the last core does not wait long
_COMES_BACK = "part string, row int, product_id string, vector binary"
_NETWORKS: dict[str, Any] = {}  # of a Python worker: by the hash of its weights


@dataclass(frozen=True, slots=True)
class Network:
    """A network as it travels: its weights file and its manifest."""

    weights: bytes
    manifest: str

    def opened(self) -> Embedder:
        """Rebuild it, once in a process."""
        from backend.training.heads import load_embedder

        manifest = bundle.Manifest.from_json(self.manifest)
        if manifest.weights_hash not in _NETWORKS:
            with own_folder("network") as folder:
                (folder / bundle.WEIGHTS).write_bytes(self.weights)
                _NETWORKS[manifest.weights_hash] = load_embedder(folder, manifest, threads=1)
        embedder: Embedder = _NETWORKS[manifest.weights_hash]
        return embedder


def build_gallery_on_spark(
    spark: SparkSession,
    snapshot: Snapshot,
    folder: Path,
    *,
    splits: Sequence[str] = GALLERY_SPLITS,
    kind: Kind = EXACT,
    progress: Progress,
) -> bundle.IndexInfo:
    """Do on Spark's executors what :func:`backend.retrieval.gallery.gallery.build_gallery` does here; the index is the same.

    Args:
        spark: A session with Delta, whose executors see the folders of catalogue and bundle.
        snapshot: The catalogue's version.
        folder: The bundle.
        splits: Splits of the catalogue that become the gallery.
        kind: The kind of index.
        progress: Told the share done, asked whether to stop.

    Raises:
        RetrievalError, BundleError, StorageFull, Cancelled: As there.
        CatalogueError: Spark cannot read the catalogue or run the network, with its own first words.
    """
    manifest = bundle.read_manifest(folder)
    network = Network((folder / bundle.WEIGHTS).read_bytes(), manifest.to_json())
    with disk_watched("build the index again"), bundle.workplace(folder, "index") as place:
        with spark_errors(snapshot.name, progress):
            found = _embedded(spark, _pictures(spark, snapshot, splits), network, place, progress)
        if not len(found):
            raise RetrievalError(
                f"{snapshot.name} has no readable picture in {', '.join(splits)}.",
                next_step="Check on the Catalogue page that the catalogue is loaded and that its splits are as expected.",
            )
        order = np.asarray(pc.sort_indices(found["product_id"]))
        rows = np.frombuffer(b"".join(found["vector"].to_pylist()), dtype=np.float32).reshape(len(found), -1)
        np.save(place / bundle.VECTORS, rows[order])
        _write_gallery(place, found, order)
        with spark_errors(snapshot.name, progress):
            write_further(snapshot, place, _embedded_there(spark, snapshot, network, place, progress))
        return put_in_place(folder, place, described(place, kind, splits, snapshot.ref), progress=progress)


def _pictures(spark: SparkSession, snapshot: Snapshot, splits: Sequence[str]) -> DataFrame:
    """Return the gallery's rows with their pictures; nothing runs yet."""
    from pyspark.sql.functions import broadcast

    own = _session(spark)
    rows = _table(own, snapshot.catalogues_dir / snapshot.name / PRODUCTS, snapshot.version)
    chosen = rows.where(rows["split"].isin(list(splits)) & rows["withdrawn_at"].isNull())
    shown = [name for name in SCHEMA.names if name != "thumbnail"]
    path, version = place_of_pictures(snapshot.catalogues_dir / snapshot.name, snapshot.version)
    if path.name == PRODUCTS:
        return chosen.select(*shown, IMAGE)
    # What is known of the products is sent to where the pictures are; no picture travels.
    pictures = _table(own, path, version).select(HASH, IMAGE)
    return pictures.join(broadcast(chosen.select(*shown, HASH)), HASH).select(*shown, IMAGE)


def _session(spark: SparkSession) -> SparkSession:
    own = spark.newSession()
    own.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH))
    own.conf.set("spark.sql.files.minPartitionNum", str(_PARTS_A_CORE * max(slots(spark), 1)))
    return own


def _table(spark: SparkSession, path: Path, version: int) -> DataFrame:
    return spark.read.format("delta").option("versionAsOf", version).load(str(path))


def _embedded(spark: SparkSession, pictures: DataFrame, network: Network, place: Path, progress: Progress) -> pa.Table:
    """Embed pictures on the executors; returns where each row was put, its id and its embedding."""
    shipped = spark.sparkContext.broadcast(network)
    embed = partial(embed_partition, shipped=shipped, folder=str(place.absolute()))
    tasks = pictures.rdd.getNumPartitions()
    rows = pictures.mapInArrow(embed, _COMES_BACK)
    try:
        table: pa.Table = run_watched(
            spark,
            rows.toArrow,
            tasks=tasks,
            on_share=lambda share: progress.report(share * 100, 100, unit="%", note="Embedding on Spark"),
            progress=progress,
        )
    finally:
        shipped.destroy()
    return table


def _embedded_there(
    spark: SparkSession, snapshot: Snapshot, network: Network, place: Path, progress: Progress
) -> Embed:
    """Give what embeds further pictures of a catalogue on the executors; only hashes and embeddings come back."""
    from pyspark.sql.functions import broadcast, lit

    def embed(hashes: list[str]) -> Made:
        own = _session(spark)
        wanted = own.createDataFrame(pa.table({HASH: hashes}))
        pictures = _table(own, *place_of_pictures(snapshot.catalogues_dir / snapshot.name, snapshot.version))
        rows = pictures.join(broadcast(wanted), HASH).select(
            pictures[HASH].alias("product_id"), lit("").alias("label"), IMAGE
        )
        shipped = spark.sparkContext.broadcast(network)
        try:
            task = partial(embed_hashes, shipped=shipped, folder=str(place.absolute()))
            found = rows.mapInArrow(task, "part string, product_id string, vector binary").toArrow()
        finally:
            shipped.destroy()
        progress.check_cancelled()
        vectors = np.frombuffer(b"".join(found["vector"].to_pylist()), dtype=np.float32)
        return Made(found["product_id"].to_pylist(), vectors, found["part"].unique().to_pylist())

    return embed


def embed_hashes(batches: Iterator[pa.RecordBatch], *, shipped: Any, folder: str) -> Iterator[pa.RecordBatch]:
    """Embed the pictures of one partition; runs on an executor."""
    spare_zip_imports()
    rows = partial(embed_batches, batches, shipped.value.opened(), EMBEDDED, total=0, progress=NullProgress())
    part, found = keep_thumbnails(Path(folder), lambda keep: rows(keep=keep))
    if found.ids:
        vectors = [vector.tobytes() for vector in np.concatenate(found.vectors)]
        columns = [[part] * len(vectors), found.ids, vectors]
        yield from pa.table(columns, names=["part", "product_id", "vector"]).to_batches()


def embed_partition(batches: Iterator[pa.RecordBatch], *, shipped: Any, folder: str) -> Iterator[pa.RecordBatch]:
    """Embed the pictures of one partition; runs on an executor."""
    spare_zip_imports()
    part = f"part-{uuid4().hex}.arrow"  # a task that is tried again leaves an old one behind, which nobody names
    path = Path(folder) / part
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        kept: list[int] = []

        def keep(rows: pa.RecordBatch) -> None:
            writer.write_batch(rows)
            kept.append(rows.num_rows)

        found = embed_batches(batches, shipped.value.opened(), SCHEMA, total=0, progress=NullProgress(), keep=keep)
    if not found.ids:
        return
    vectors = np.concatenate(found.vectors)
    columns = [
        pa.array([part] * len(found.ids), pa.string()),
        pa.array(np.arange(len(found.ids), dtype=np.int32)),
        pa.array(found.ids, pa.string()),
        pa.array([vector.tobytes() for vector in vectors], pa.binary()),
    ]
    yield from pa.table(columns, names=["part", "row", "product_id", "vector"]).to_batches()


def _write_gallery(place: Path, table: pa.Table, order: Any) -> None:
    """Bring what the executors wrote into one file, ordered by product id; it is memory-mapped, not read."""
    spill = place / "spill.arrow"
    parts = list(dict.fromkeys(table["part"].to_pylist()))
    starts: dict[str, list[tuple[int, int]]] = {}
    number = 0
    with pa.OSFile(str(spill), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for part in parts:
            with pa.memory_map(str(place / part)) as source:
                batches = pa.ipc.open_file(source)
                places: list[tuple[int, int]] = []
                for at in range(batches.num_record_batches):
                    batch = batches.get_batch(at)
                    writer.write_batch(batch)
                    places += [(number, row) for row in range(batch.num_rows)]
                    number += 1
                starts[part] = places
    pairs = zip(table["part"].to_pylist(), table["row"].to_pylist(), strict=True)
    where = [starts[part][row] for part, row in pairs]
    write_sorted(spill, [where[at] for at in order], place / bundle.GALLERY)
