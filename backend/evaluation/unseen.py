"""Score the classes that a model was not trained on, among themselves and among all.

Half of the products of unseen classes ask, the other half are looked for. Among themselves means a gallery of that other
half alone; mixed means that the products of the classes that were trained on stand in the gallery, too. A model that
pulls whatever it sees onto the classes it knows does well in the first and collapses in the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError
from backend.evaluation.evaluate import score_queries
from backend.evaluation.vectors import VectorParts
from backend.progress import NullProgress, Span

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from backend.evaluation.evaluate import QueryScores
    from backend.progress import Progress


@dataclass(frozen=True, slots=True)
class Halves:
    """Which rows ask and which are looked for, all positions among N rows, ascending.

    Attributes:
        queries: Rows of unseen classes that ask.
        gallery: The other rows of unseen classes.
        others: Rows of all other classes.
    """

    queries: NDArray[np.int64]
    gallery: NDArray[np.int64]
    others: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassDisjoint:
    """Scores of the queries of unseen classes; their ``rows`` are positions in ``queries``.

    Attributes:
        queries: Rows that asked.
        among: Against the other rows of unseen classes.
        mixed: Against those and all rows of the other classes.
    """

    queries: NDArray[np.int64]
    among: QueryScores
    mixed: QueryScores


def class_disjoint(
    vectors: NDArray[np.float32] | VectorParts,
    labels: NDArray[np.str_],
    unseen: Collection[str],
    *,
    k: int = 10,
    seed: int = 7,
    most: int | None = None,
    progress: Progress | None = None,
) -> ClassDisjoint:
    """Score the classes that were kept out of a training, among themselves and in the mixed gallery.

    Args:
        vectors: L2-normalised embeddings of all classes, float32 (N, D); products that were trained on may be there.
        labels: Their labels; (N,).
        unseen: The classes that were kept out.
        k: Neighbours to count.
        seed: Seed of the halves.
        most: Queries at most, drawn evenly; None means no limit.
        progress: Hears how many queries are done, and may cancel.

    Raises:
        EvaluationError: No unseen class has two products.
        Cancelled: The user asked to stop.
    """
    parts = vectors if isinstance(vectors, VectorParts) else VectorParts((vectors,))
    progress = progress or NullProgress()
    labels = np.asarray(labels, dtype=np.str_)
    halves = halves_of(labels, unseen, seed=seed, most=most)
    asked, asked_labels = parts.only(halves.queries).rows(), labels[halves.queries]
    both = np.sort(np.concatenate([halves.gallery, halves.others]))
    spans = Span.split(progress, [("", len(halves.gallery)), ("", len(both))])
    among, mixed = (
        score_queries(asked, asked_labels, parts.only(rows), labels[rows], k=k, progress=span)
        for rows, span in zip((halves.gallery, both), spans, strict=True)
    )
    return ClassDisjoint(halves.queries, among, mixed)


def halves_of(labels: NDArray[np.str_], unseen: Collection[str], *, seed: int, most: int | None = None) -> Halves:
    """Draw half of every unseen class, rounded down, as queries.

    Raises:
        EvaluationError: No unseen class has two products.
    """
    is_unseen = np.isin(labels, sorted(unseen))
    rng = np.random.default_rng(seed)
    asking = np.zeros(len(labels), dtype=np.bool_)
    for label in sorted(unseen):
        members = np.flatnonzero(labels == label)
        asking[rng.permutation(members)[: len(members) // 2]] = True
    queries = np.flatnonzero(asking)
    if not queries.size:
        raise EvaluationError(
            "No class excluded from training has two products.",
            next_step="Exclude larger classes from training on the Catalogue page.",
        )
    gallery = np.flatnonzero(is_unseen & ~asking)
    if most is not None and len(queries) > most:
        queries = np.sort(rng.permutation(queries)[:most])
    return Halves(queries, gallery, np.flatnonzero(~is_unseen))
