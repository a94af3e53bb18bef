"""What was answered to every test query: its rates and its nearest products, as the table ``evaluation.parquet``."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.errors import EvaluationError
from backend.evaluation.evaluate import RATES
from backend.files.plain_files import open_plain

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.evaluation.evaluate import QueryScores

ANSWERS = "evaluation.parquet"
_SCHEMA = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        *(pa.field(name, pa.float32(), nullable=False) for name in RATES),
        pa.field("neighbours", pa.list_(pa.string()), nullable=False),
        pa.field("labels", pa.list_(pa.string()), nullable=False),
        pa.field("similarities", pa.list_(pa.float32()), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class AnsweredNeighbour:
    """One product that was answered to a query."""

    product_id: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class AnsweredQuery:
    """One query with its nearest products, nearest first."""

    product_id: str
    label: str
    map_at_r: float
    neighbours: tuple[AnsweredNeighbour, ...]

    @property
    def is_right(self) -> bool:
        """Whether the nearest product carries the query's label."""
        return self.neighbours[0].label == self.label


@dataclass(frozen=True)
class AnswerTable:
    """The answers to Q queries, ordered by product id; build it with :func:`answer_table` or :func:`load_answers`."""

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """Product ids; (Q,), ascending."""
        return np.asarray(self.table["product_id"].to_pylist(), dtype=np.str_)

    @cached_property
    def labels(self) -> NDArray[np.str_]:
        """Labels of the queries; (Q,)."""
        return np.asarray(self.table["label"].to_pylist(), dtype=np.str_)

    @cached_property
    def nearest_labels(self) -> NDArray[np.str_]:
        """Label of the nearest product of each query; (Q,)."""
        return np.asarray(pc.list_element(self.table["labels"], 0).to_pylist(), dtype=np.str_)

    @cached_property
    def nearest_similarities(self) -> NDArray[np.float32]:
        """Cosine similarity of the nearest product of each query; (Q,)."""
        return np.asarray(pc.list_element(self.table["similarities"], 0).to_numpy(), dtype=np.float32)

    def rate(self, name: str) -> NDArray[np.float64]:
        """One of :data:`RATES` of every query; (Q,)."""
        return np.asarray(self.table[name].to_numpy(), dtype=np.float64)

    def queries(self, ids: tuple[str, ...]) -> list[AnsweredQuery]:
        """Return these queries, in that order; those that were not asked are passed over."""
        asked = np.asarray(ids, dtype=np.str_)
        rows = np.searchsorted(self.ids, asked).clip(max=max(len(self) - 1, 0))
        found = rows[self.ids[rows] == asked] if len(self) and len(asked) else []
        return [_query(row) for row in self.table.take(pa.array(found, pa.int64())).to_pylist()]

    def cell(self, label: str, nearest: str) -> tuple[str, ...]:
        """Return the queries of a label whose nearest product has a label, the most similar pairs first."""
        rows = np.flatnonzero((self.labels == label) & (self.nearest_labels == nearest))
        ordered = rows[np.argsort(-self.nearest_similarities[rows], kind="stable")]
        return tuple(self.ids[ordered].tolist())


def answer_table(
    scores: QueryScores, ids: NDArray[np.str_], gallery_ids: NDArray[np.str_], gallery_labels: NDArray[np.str_]
) -> AnswerTable:
    """Make the table of what was scored.

    Args:
        scores: Scores of A queries.
        ids: Product ids of all that asked; ``scores.rows`` are positions among them.
        gallery_ids: Product id of every gallery item; (N,).
        gallery_labels: Their labels; (N,).
    """
    order = np.argsort(ids[scores.rows], kind="stable")
    found = scores.neighbours[order]
    offsets = pa.array(np.arange(0, found.size + 1, found.shape[1]), pa.int32())

    def lists(values: NDArray[np.generic], kind: pa.DataType) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets, pa.array(values.ravel(), kind))

    columns = [
        pa.array(ids[scores.rows][order], pa.string()),
        pa.array(scores.labels[order], pa.string()),
        *(pa.array(scores.rates[name][order], pa.float32()) for name in RATES),
        lists(gallery_ids[found], pa.string()),
        lists(gallery_labels[found], pa.string()),
        lists(scores.similarities[order], pa.float32()),
    ]
    return AnswerTable(pa.Table.from_arrays(columns, schema=_SCHEMA))


def to_parquet(answers: AnswerTable) -> bytes:
    """Return the table as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(answers.table, buffer, compression="zstd")
    return buffer.getvalue()


def load_answers(folder: Path) -> AnswerTable:
    """Read the answers that belong to a bundle's report.

    Raises:
        EvaluationError: There are none, or the file is something else.
    """
    path = folder / ANSWERS
    again = "Evaluate this model again: `python -m backend evaluate`."
    if not os.path.lexists(path):
        raise EvaluationError(f"{folder.name} has not been evaluated yet.", next_step=again)
    try:
        with open_plain(path) as stream:
            table = pq.read_table(stream)
    except (pa.ArrowException, OSError) as error:
        raise EvaluationError(f"{ANSWERS} of {folder.name} cannot be read.", next_step=again) from error
    if table.schema.names != _SCHEMA.names:
        raise EvaluationError(f"{ANSWERS} of {folder.name} was written by another version.", next_step=again)
    return AnswerTable(table)


def _query(row: dict[str, object]) -> AnsweredQuery:
    found = zip(row["neighbours"], row["labels"], row["similarities"], strict=True)  # type: ignore[call-overload]
    neighbours = tuple(AnsweredNeighbour(*one) for one in found)
    return AnsweredQuery(str(row["product_id"]), str(row["label"]), float(row["map_at_r"]), neighbours)  # type: ignore[arg-type]
