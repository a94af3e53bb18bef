"""What is kept beside the table so that a refresh need not look at everything: the lists, how far answers looked, prints.

One file for each state of the table, named in the commit's note. Without it the next refresh makes everything again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from backend.merchandising.similar.near import Near

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """The state of the N products that the table was made from.

    Attributes:
        ids: Product ids, ascending.
        prints, names: See :class:`backend.merchandising.similar.source.Source`; uint64 (N,).
        near: The list of each.
        reach, far: How far each answer looked; see :class:`backend.merchandising.similar.answers.Answers`.
        traits: Which products each rule names, one bit for each rule; uint8 (N, B).
        rules: The rules in force, as JSON values, in the order of these bits, and what else answers depend on.
    """

    ids: pa.Array
    prints: NDArray[np.uint64]
    names: NDArray[np.uint64]
    near: Near
    reach: NDArray[np.float32]
    far: NDArray[np.float32]
    traits: NDArray[np.uint8]
    rules: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Write it."""
        near = self.near
        columns = {
            "product_id": self.ids,
            **{name: pa.array(getattr(self, name)) for name in ("prints", "names", "reach", "far")},
            "horizon": pa.array(near.horizon),
            "positions": _lists(near.positions),
            "distances": _lists(near.distances),
            "traits": _lists(self.traits),
        }
        about = {"format": str(_FORMAT), "rules": json.dumps(self.rules)}
        batch = pa.record_batch(list(columns.values()), names=list(columns), metadata=about)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)

    @classmethod
    def load(cls, path: Path) -> Kept | None:
        """Open it memory-mapped; None where it is gone or of another version of this program."""
        try:
            with pa.memory_map(str(path)) as source:
                batch = pa.ipc.open_file(source).get_batch(0)
        except (OSError, pa.ArrowInvalid):
            return None
        about = {name.decode(): value.decode() for name, value in (batch.schema.metadata or {}).items()}
        if about.get("format") != str(_FORMAT):
            return None
        plain = {name: batch.column(name).to_numpy() for name in ("prints", "names", "reach", "far")}
        near = Near(_matrix(batch, "positions"), _matrix(batch, "distances"), batch.column("horizon").to_numpy())
        rules = json.loads(about["rules"])
        return cls(batch.column("product_id"), near=near, traits=_matrix(batch, "traits"), rules=rules, **plain)


def _lists(matrix: NDArray[Any]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(matrix).ravel()), matrix.shape[1])


def _matrix(batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    column = batch.column(name)
    found: NDArray[Any] = column.flatten().to_numpy().reshape(len(column), column.type.list_size)
    return found
