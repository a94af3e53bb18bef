"""What the driver does with a source's list before a picture is read: reject, order, draw the validation split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from backend.catalogue.items import SPLITS
from backend.catalogue.sources import ENTRY_SCHEMA
from backend.catalogue.splits import draw_validation
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Entries on their way to the executors: ``reason`` says why the driver rejected one, null where it did not.
CHECKED_ENTRY_SCHEMA = ENTRY_SCHEMA.append(pa.field("reason", pa.string()))


def check_entries(entries: pa.Table, *, validation_share: float, seed: int) -> pa.Table:
    """Give every unusable entry its reason, order all by id, and draw the validation split from train.

    Of entries with the same id the first in the source's order is kept.

    Args:
        entries: A source's products, :data:`ENTRY_SCHEMA`.
        validation_share: Fraction of each class of train that becomes validation.
        seed: Seed of the draw.

    Returns:
        The same products in :data:`CHECKED_ENTRY_SCHEMA`, ordered by product_id.

    Raises:
        CatalogueError: There are no products, or the share is out of range.
    """
    if entries.num_rows == 0:
        raise CatalogueError("The source has no products.", next_step="Choose another source.")
    entries = entries.cast(ENTRY_SCHEMA).sort_by([("product_id", "ascending"), ("position", "ascending")])
    ids, labels, splits = (entries.column(name).to_pylist() for name in ("product_id", "label", "split"))
    reasons = _reasons(ids, labels, splits)
    usable = np.array([reason is None for reason in reasons], dtype=np.bool_)
    train = np.flatnonzero(usable & (np.array(splits, dtype=object) == "train"))
    drawn = draw_validation([ids[i] for i in train], [labels[i] for i in train], share=validation_share, seed=seed)
    entries = entries.set_column(
        entries.schema.get_field_index("split"), "split", pa.array(_redrawn(splits, train[drawn]), pa.string())
    )
    return entries.append_column("reason", pa.array(reasons, pa.string())).cast(CHECKED_ENTRY_SCHEMA)


def _redrawn(splits: list[str | None], drawn: NDArray[np.int64]) -> list[str | None]:
    new = list(splits)
    for row in drawn:
        new[row] = "validation"
    return new


def _reasons(ids: list[str | None], labels: list[str | None], splits: list[str | None]) -> list[str | None]:
    seen: set[str] = set()
    reasons: list[str | None] = []
    for product_id, label, split in zip(ids, labels, splits, strict=True):
        reason = _reason(product_id, label, split)
        if reason is None and product_id in seen:
            reason = "duplicate_id: Another product of the source has this id."
        if reason is None and product_id is not None:
            seen.add(product_id)
        reasons.append(reason)
    return reasons


def _reason(product_id: str | None, label: str | None, split: str | None) -> str | None:
    if not product_id:
        return "no_id: It has no product_id."
    if not label:
        return "no_label: It has no label."
    if split not in SPLITS:
        return f"unknown_split: Its split is {split!r}, not one of {', '.join(SPLITS)}."
    return None
