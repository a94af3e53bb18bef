"""Change the splits of a catalogue, in one commit: draw them again, or bring duplicates across splits into one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.delta.locks import commit_lock
from backend.catalogue.items import PRODUCTS, QUALITY
from backend.catalogue.quality.duplicates import exact_groups, find_leaks, mended_splits, near_groups
from backend.catalogue.quality.view import NEAR_DISTANCE
from backend.catalogue.schemas import QUALITY_SCHEMA
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.splits import SplitPlan, assign_splits
from backend.spark.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyspark.sql import SparkSession

    from backend.catalogue.quality.duplicates import Leak
    from backend.progress import Progress
    from backend.settings import Settings


def redraw_splits(
    spark: SparkSession, settings: Settings, catalogue: str, plan: SplitPlan, *, progress: Progress
) -> dict[str, Any]:
    """Draw all splits of a catalogue again: stratified, seeded, with whole classes kept out of training if asked.

    Raises:
        CatalogueError: A share is out of range, or an unseen label is none.
        CatalogueBusy: Another writer won.
    """
    folder = delta_log.catalogue_folder(settings.catalogues_dir, catalogue)
    with commit_lock(folder, progress):
        rows = open_snapshot(settings.catalogues_dir, catalogue).columns(["product_id", "label", "split"])
        ids, labels, before = (rows[name].to_pylist() for name in ("product_id", "label", "split"))
        after = assign_splits(ids, labels, [None] * len(ids), plan)
        moved = {name: new for name, new, old in zip(ids, after, before, strict=True) if new != old}
        note = {"action": "splits", "splits": plan.as_note()}
        version = _set_splits(spark, folder, moved, note=note, progress=progress)
    counts = dict(sorted(Counter(after.tolist()).items()))
    return {"catalogue": catalogue, "version": version, "moved": len(moved), "by_split": counts}


def mend_leaks(
    spark: SparkSession, settings: Settings, catalogue: str, *, near: bool, progress: Progress
) -> dict[str, Any]:
    """Bring every group of equal pictures (with ``near``, of near duplicates too) into one split.

    Raises:
        CatalogueBusy: Another writer won.
    """
    folder = delta_log.catalogue_folder(settings.catalogues_dir, catalogue)
    with commit_lock(folder, progress):
        leaks, split_of = leaks_of(settings.catalogues_dir, catalogue, near=near)
        moved = {name: new for name, new in mended_splits(leaks, split_of).items() if new != split_of[name]}
        note = {"action": "splits", "mended": len(leaks), "near": near}
        version = _set_splits(spark, folder, moved, note=note, progress=progress)
    return {"catalogue": catalogue, "version": version, "leaks": len(leaks), "moved": len(moved)}


def leaks_of(catalogues_dir: Path, catalogue: str, *, near: bool) -> tuple[list[Leak], dict[str, str]]:
    """Return the pictures that are in more than one of train, validation and test, and every product's split."""
    rows = open_snapshot(catalogues_dir, catalogue).columns(["product_id", "split"])
    split_of = dict(zip(rows["product_id"].to_pylist(), rows["split"].to_pylist(), strict=True))
    exact, similar = duplicate_groups(catalogues_dir, catalogue, near=near)
    return [*find_leaks(exact, split_of), *find_leaks(similar, split_of, kind="near")], split_of


def duplicate_groups(
    catalogues_dir: Path, catalogue: str, *, near: bool = True
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return groups of products with the same picture, byte for byte, and of products whose pictures look the same.

    The second are made of pictures that were measured; those of the first are not told again.
    """
    rows = open_snapshot(catalogues_dir, catalogue).columns(["product_id", "image_sha256"])
    ids, hashes = (rows[name].to_pylist() for name in ("product_id", "image_sha256"))
    exact = exact_groups(ids, hashes)
    if not near:
        return exact, []
    known = _perceptual(catalogues_dir / catalogue)
    measured = [(name, known[sha256]) for name, sha256 in zip(ids, hashes, strict=True) if sha256 in known]
    similar = near_groups([name for name, _ in measured], [phash for _, phash in measured], NEAR_DISTANCE)
    named = set(map(frozenset, exact))
    return exact, [group for group in similar if frozenset(group) not in named]


def _perceptual(folder: Path) -> dict[str, str]:
    """Return the perceptual hash by the hash of the bytes."""
    if delta_log.newest_version(folder / QUALITY) is None:
        return {}
    rows = delta_log.rows_of(delta_log.open_table(folder / QUALITY), QUALITY_SCHEMA)
    table = rows.table(["image_sha256", "phash"])
    return dict(zip(table["image_sha256"].to_pylist(), table["phash"].to_pylist(), strict=True))


def _set_splits(
    spark: SparkSession, folder: Path, moved: Mapping[str, str], *, note: Mapping[str, object], progress: Progress
) -> int:
    """MERGE new splits by product_id; returns the version that holds them. No picture is rewritten."""
    from delta.tables import DeltaTable

    from backend.catalogue.loading import moving

    path = folder / PRODUCTS
    newest = delta_log.newest_version(path) or 0
    if not moved:
        return newest
    load = uuid4().hex
    table = pa.table({"product_id": list(moved), "split": list(moved.values())})
    full = {**note, "load": load, "job": progress.job, "changed": len(moved)}

    def write() -> None:
        moving.ensure(spark, folder, job=progress.job)
        with delta_table.commit_note(spark, full):
            changes = spark.createDataFrame(table)
            target = DeltaTable.forPath(spark, str(path)).alias("t")
            merge = target.merge(changes.alias("s"), "t.product_id = s.product_id")
            merge.whenMatchedUpdate(set={"split": "s.split"}).execute()

    with delta_table.spark_errors(folder.name, progress):
        Watch(spark, progress, total=len(moved)).run(write, 0.1, 1.0, "Writing the uses")
    progress.report(len(moved), len(moved), unit="products", note="Committed")
    return delta_log.version_of_load(path, load)
