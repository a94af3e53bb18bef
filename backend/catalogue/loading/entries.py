"""What the driver does with a source's list before a picture is read: reject, order, give splits, say what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.items import SPLITS, UNLABELLED
from backend.catalogue.sources.sources import ENTRY_SCHEMA
from backend.catalogue.splits import as_objects, assign_splits
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.catalogue.splits import SplitPlan

# Entries on their way to the executors: ``reason`` says why one is rejected, null where it is not;
# ``known_sha256`` is the hash of the picture that the catalogue holds of it, null where it holds none.
CHECKED_ENTRY_SCHEMA = ENTRY_SCHEMA.append(pa.field("known_sha256", pa.string()))
LONGEST_ID = 256  # letters; arrays of ids are as wide as the longest


def check_entries(entries: pa.Table, plan: SplitPlan, held: pa.Table | None = None) -> pa.Table:
    """Give every unusable entry its reason, order all by id, and give every usable one its split.

    Of entries with the same id the first in the source's order is kept. A product that the catalogue holds with the
    same label keeps its split, unless the plan says otherwise.

    Args:
        entries: A source's products, :data:`ENTRY_SCHEMA`.
        plan: How splits are given.
        held: The products that the catalogue holds: at least product_id, image_sha256, label and split.

    Returns:
        The same products in :data:`CHECKED_ENTRY_SCHEMA`, ordered by product_id.

    Raises:
        CatalogueError: There are no products, or the plan cannot be carried out.
    """
    if entries.num_rows == 0:
        raise CatalogueError("The source has no products.", next_step="Choose another source.")
    entries = entries.cast(ENTRY_SCHEMA).sort_by([("product_id", "ascending"), ("position", "ascending")])
    entries = entries.combine_chunks()
    labels = [(label or "").strip() or UNLABELLED for label in entries["label"].to_pylist()]
    reasons = _reasons(entries)
    usable = np.flatnonzero([reason is None for reason in reasons])
    ids, splits, kinds = (
        as_objects(v) for v in (entries["product_id"].to_pylist(), entries["split"].to_pylist(), labels)
    )
    splits[usable] = assign_splits(ids[usable], kinds[usable], splits[usable], plan)
    known, splits = _as_held(entries["product_id"], kinds, splits, held, plan)
    values = {"label": pa.array(kinds, pa.string()), "split": pa.array(splits, pa.string())}
    values |= {"reason": pa.array(reasons, pa.string()), "known_sha256": known}
    columns = [values[name] if name in values else entries[name] for name in CHECKED_ENTRY_SCHEMA.names]
    return pa.Table.from_arrays(columns, schema=CHECKED_ENTRY_SCHEMA)


def _as_held(
    ids: pa.ChunkedArray,
    labels: NDArray[np.object_],
    splits: NDArray[np.object_],
    held: pa.Table | None,
    plan: SplitPlan,
) -> tuple[pa.Array, NDArray[np.object_]]:
    """Return the hashes that the catalogue holds, and the splits as they stay."""
    if held is None or not held.num_rows:
        return pa.nulls(len(ids), pa.string()), splits
    held = held.combine_chunks()
    places = pc.index_in(ids, value_set=held["product_id"].combine_chunks()).combine_chunks()
    known = held["image_sha256"].combine_chunks().take(places)
    if plan.redraw:
        return known, splits
    old_labels, old_splits = (as_objects(held[name].take(places).to_pylist()) for name in ("label", "split"))
    is_held = np.asarray(pc.is_valid(places), dtype=np.bool_)
    hidden = np.isin(old_labels.astype(str), plan.unseen) & (old_splits != "test")
    stays = is_held & (old_labels == labels) & ~hidden
    return known, np.where(stays, old_splits, splits)


def _reasons(entries: pa.Table) -> list[str | None]:
    seen: set[str] = set()
    reasons: list[str | None] = []
    columns = (entries[name].to_pylist() for name in ("product_id", "split", "reason"))
    for product_id, split, known in zip(*columns, strict=True):
        reason = known or _reason(product_id, split)
        if reason is None and product_id in seen:
            reason = "duplicate_id: Another product in the source has this id."
        if reason is None:
            seen.add(product_id)
        reasons.append(reason)
    return reasons


def _reason(product_id: str | None, split: str | None) -> str | None:
    if not product_id:
        return "no_id: It has no product_id."
    if len(product_id) > LONGEST_ID:
        return f"long_id: Its product_id has {len(product_id):,} characters; at most {LONGEST_ID} are allowed."
    if split is not None and split not in SPLITS:
        return f"unknown_split: Its split is {split!r}, not one of {', '.join(SPLITS)}."
    return None
