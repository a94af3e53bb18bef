"""What a checked source does to a catalogue, row by row and in counts; decided on ids, hashes and details alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.items import DETAIL_COLUMNS, FURTHER_HASH, LEAKING_SPLITS, GonePolicy, LoadCounts
from backend.catalogue.loading.further import digests, names_further, picture_rows
from backend.catalogue.schemas import PICTURE_SCHEMA, PRODUCT_SCHEMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD_COLUMNS = ("product_id", "image_sha256", FURTHER_HASH, *DETAIL_COLUMNS, "withdrawn_at")
# What is written of a product whose first picture stays.
CHANGEABLE = (FURTHER_HASH, *DETAIL_COLUMNS)
# Actions of a row: the whole row, because it or its picture is new; the details alone; the mark; the end.
INSERT, PICTURE, DETAILS, MARK, DELETE = "insert", "picture", "details", "mark", "delete"
_FACTS = ("image_sha256", "width", "height", "channels")
ACTION_SCHEMA = pa.schema(
    [("product_id", pa.string()), ("action", pa.string())]
    + [(name, PRODUCT_SCHEMA.field(name).type) for name in (*_FACTS, *CHANGEABLE)]
)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The actions of a load, :data:`ACTION_SCHEMA`, and what they come to.

    ``lacking`` are ids whose picture has to be written and was not staged: the catalogue held the very same picture
    when the source was checked, and does not any more. ``shown`` are the pictures of all products whose pictures are new
    or others, columns of ``pictures``; ``replaces_further`` says whether their further ones are among them.
    """

    actions: pa.Table
    counts: LoadCounts
    lacking: tuple[str, ...]
    shown: pa.Table = field(default_factory=PICTURE_SCHEMA.empty_table)
    replaces_further: bool = False

    def of(self, *wanted: str) -> pa.Table:
        """Return the rows with these actions."""
        return self.actions.filter(pc.is_in(self.actions["action"], pa.array(wanted)))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return int(self.actions.num_rows) == 0


def plan_load(rows: pa.Table, held: pa.Table, *, gone: GonePolicy) -> LoadPlan:
    """Compare a checked source with what a catalogue holds.

    Args:
        rows: Rows of :class:`staging.StagedLoad`.
        held: The catalogue's products, :data:`HELD_COLUMNS`.
        gone: What becomes of products that the source does not name.
    """
    usable = rows.filter(pc.is_null(rows["reason"])).combine_chunks()
    held = held.combine_chunks()
    places = pc.index_in(usable["product_id"], value_set=_flat(held["product_id"]))
    is_new = np.asarray(pc.is_null(places), dtype=np.bool_)
    old, has_further = held.take(places), names_further(usable)
    usable = usable.append_column(FURTHER_HASH, digests(usable) if has_further else old[FURTHER_HASH])
    picture = ~is_new & ~_same(usable["image_sha256"], old["image_sha256"])
    further = ~is_new & ~_same(usable[FURTHER_HASH], old[FURTHER_HASH])
    details = ~is_new & ~picture & (further | np.asarray(pc.is_valid(old["withdrawn_at"]), dtype=np.bool_))
    for name in DETAIL_COLUMNS:
        details |= ~is_new & ~picture & ~_same(usable[name], old[name])
    chosen = np.select([is_new, picture, details], [INSERT, PICTURE, DETAILS], default="")
    lost = _gone(rows, held)
    changed = picture | details
    counts = LoadCounts(
        new=int(is_new.sum()),
        changed=int(changed.sum()),
        unchanged=int((~is_new & ~changed).sum()),
        gone=lost.num_rows if gone == "delete" else int(pc.sum(pc.is_null(lost["withdrawn_at"])).as_py() or 0),
    )
    lacking = usable.filter(pa.array(is_new | picture)).filter(pc.field("file").is_null())
    actions = pa.concat_tables([_acted(usable, chosen), _parting(lost, gone)])
    shown = picture_rows(usable.filter(pa.array(is_new | picture | further)))
    return LoadPlan(actions, counts, tuple(lacking["product_id"].to_pylist()), shown, has_further)


def repeats(rows: pa.Table) -> tuple[int, int]:
    """Count usable rows whose picture another one has, and pictures in more than one of train, validation and test."""
    usable = rows.filter(pc.is_null(rows["reason"]))
    by_picture = usable.group_by("image_sha256").aggregate([("product_id", "count")])
    repeated = by_picture.filter(pc.field("product_id_count") > 1)
    judged = usable.filter(pc.is_in(usable["split"], pa.array(LEAKING_SPLITS)))
    judged = judged.filter(pc.is_in(judged["image_sha256"], _flat(repeated["image_sha256"])))
    # Arrow 14 reads memory at random when it counts distinct values of no rows.
    pairs = set(zip(judged["image_sha256"].to_pylist(), judged["split"].to_pylist(), strict=True))
    splits = Counter(picture for picture, _ in pairs)
    return int(pc.sum(repeated["product_id_count"]).as_py() or 0), sum(count > 1 for count in splits.values())


def _acted(usable: pa.Table, chosen: NDArray[np.str_]) -> pa.Table:
    some = usable.append_column("action", pa.array(chosen, pa.string())).filter(pa.array(chosen != ""))
    return some.select(ACTION_SCHEMA.names).cast(ACTION_SCHEMA)


def _gone(rows: pa.Table, held: pa.Table) -> pa.Table:
    """Return what is held of products that no row of the source names; a rejected row names its product too."""
    named = pc.is_in(held["product_id"], value_set=_flat(rows["product_id"]))
    return held.filter(pc.invert(named))


def _parting(lost: pa.Table, gone: GonePolicy) -> pa.Table:
    if gone == "keep":
        return ACTION_SCHEMA.empty_table()
    if gone == "mark":
        lost = lost.filter(pc.is_null(lost["withdrawn_at"]))
    action = pa.array([MARK if gone == "mark" else DELETE] * lost.num_rows, pa.string())
    given = {"action": action, **{name: lost[name] for name in lost.column_names}}
    columns = [given.get(field.name, pa.nulls(lost.num_rows, field.type)) for field in ACTION_SCHEMA]
    return pa.Table.from_arrays(columns, names=ACTION_SCHEMA.names).cast(ACTION_SCHEMA)


def _same(new: pa.ChunkedArray, old: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Compare two columns row by row; null equals null."""
    both_null = pc.and_(pc.is_null(new), pc.is_null(old))
    return np.asarray(pc.or_(pc.fill_null(pc.equal(new, old), fill_value=False), both_null), dtype=np.bool_)


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
