"""Everything made at once, by partition on Spark's executors.

They map the vectors of the bundle where it lies, which all machines see; what each partition found lies in a file beside
the table, and only the names of these files come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backend.bundles import bundle
from backend.errors import RetrievalError
from backend.merchandising.similar import near as lists
from backend.merchandising.similar.answers import Answering, as_rows
from backend.merchandising.similar.refresh import state_of
from backend.merchandising.similar.source import Source
from backend.spark.cluster import slots
from backend.spark.executors import spare_zip_imports
from backend.spark.jobs import run_watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pyspark.sql import SparkSession

    from backend.merchandising.similar.kept import Kept
    from backend.merchandising.similar.ruled import RulesAt
    from backend.progress import Progress

    OpenSpark = Callable[[], AbstractContextManager[SparkSession]]

_PARTS_A_CORE = 4  # so that the progress moves and the last core does not wait long
_SOURCES: dict[tuple[str, str], Source] = {}  # of a Python worker: the bundle that it has open


@dataclass(frozen=True, slots=True)
class Plan:
    """What the executors are to do.

    Attributes:
        folder: The bundle.
        manifest: SHA-256 of its manifest, by which another state of it is told.
        depth: Most products of a list.
        k: Products of an answer.
        rules: The rules.
    """

    folder: str
    manifest: str
    depth: int
    k: int
    rules: RulesAt

    def source(self) -> Source:
        """Open the bundle, once in a process."""
        key = (self.folder, self.manifest)
        if key not in _SOURCES:
            _SOURCES.clear()
            _SOURCES[key] = Source.open(Path(self.folder))
        if bundle.sha256_of(Path(self.folder) / bundle.MANIFEST) != self.manifest:
            raise RetrievalError(f"The index of {Path(self.folder).name} changed meanwhile.", next_step="Try again.")
        return _SOURCES[key]


def made_on_spark(
    spark: SparkSession, source: Source, plan: Plan, place: Path, progress: Progress
) -> tuple[Kept, pa.Table]:
    """Find the lists and the answers of all products.

    Args:
        spark: A session whose executors see the bundle's folder and ``place``.
        source: The bundle.
        plan: What to do.
        place: A folder for what the partitions found.
        progress: Told the products done, asked whether to stop.

    Returns:
        The state to keep, and the rows of the table.
    """
    size = source.index.size
    tasks = max(1, min(size, _PARTS_A_CORE * max(slots(spark), 1)))
    shipped = spark.sparkContext.broadcast(plan)
    parts = spark.range(0, size, 1, tasks).mapInArrow(
        partial(find_partition, shipped=shipped, place=str(place.absolute())), "first long, name string"
    )
    try:
        table = run_watched(
            spark,
            parts.toArrow,
            tasks=tasks,
            on_share=lambda share: progress.report(
                int(share * size), size, unit="products", note="Finding similar products"
            ),
            progress=progress,
        )
    finally:
        shipped.destroy()
    names = [row["name"] for row in table.sort_by("first").to_pylist()]
    return _assembled(source, plan, [place / name for name in names])


def find_partition(batches: Iterator[pa.RecordBatch], *, shipped: Any, place: str) -> Iterator[pa.RecordBatch]:
    """Find lists and answers of the products of one partition; runs on an executor."""
    spare_zip_imports()
    plan = shipped.value
    positions = [batch.column(0).to_numpy() for batch in batches]
    if not positions:
        return
    own = np.concatenate(positions)
    source = plan.source()
    near = lists.near_of(source.index, own, plan.depth)
    found = Answering(source, plan.rules, k=plan.k).answer(own, near)
    name = f"part-{uuid4().hex}"  # a task that is tried again leaves an old one behind, which nobody names
    pq.write_table(as_rows(found, source.ids), Path(place) / f"{name}.parquet")
    columns = {"reach": found.reach, "far": found.far, "horizon": near.horizon}
    np.savez(Path(place) / f"{name}.npz", positions=near.positions, distances=near.distances, **columns)
    yield pa.record_batch([pa.array(own[:1]), pa.array([name])], names=["first", "name"])


def _assembled(source: Source, plan: Plan, paths: list[Path]) -> tuple[Kept, pa.Table]:
    parts = []
    for path in paths:
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            parts.append(dict(arrays))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    near = lists.Near(*(columns.pop(name) for name in ("positions", "distances", "horizon")))
    kept = state_of(source, plan.rules, Answering(source, plan.rules, k=plan.k), near, **columns)
    return kept, pa.concat_tables([pq.read_table(path.with_suffix(".parquet")) for path in paths])
