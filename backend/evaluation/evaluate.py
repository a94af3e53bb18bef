"""Score embeddings by exact search: every query against the whole gallery, in chunks that fit in memory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError
from backend.evaluation import scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.progress import Progress

    Labels = Sequence[str] | NDArray[np.str_]

_CHUNK_CELLS = 8_000_000  # similarities held at once: 32 MB


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """How well a gallery answers a set of queries; all rates lie in [0, 1].

    Attributes:
        queries: Queries that were scored.
        unanswerable: Queries left out, because no gallery item carries their label.
        gallery: Items of the gallery.
        k: Neighbours that ``precision_at_k`` and ``hit_rate_at_k`` count.
        by_label: precision@1 of the queries of each label.
    """

    queries: int
    unanswerable: int
    gallery: int
    k: int
    precision_at_1: float
    precision_at_k: float
    hit_rate_at_k: float
    r_precision: float
    map_at_r: float
    by_label: dict[str, float] = field(default_factory=dict)

    def as_metrics(self) -> dict[str, float]:
        """Return the rates by name, e.g. ``precision_at_1``."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, float)}


def evaluate_retrieval(
    query_vectors: NDArray[np.float32],
    query_labels: Labels,
    gallery_vectors: NDArray[np.float32],
    gallery_labels: Labels,
    *,
    k: int,
    progress: Progress,
) -> RetrievalScores:
    """Rank the gallery for every query by cosine similarity and score the ranking; equal similarities rank by position.

    No query may be an item of the gallery: it would find itself.

    Args:
        query_vectors: L2-normalised embeddings, float32 (Q, D).
        query_labels: Their labels; Q texts.
        gallery_vectors: L2-normalised embeddings, float32 (N, D).
        gallery_labels: Their labels; N texts.
        k: Neighbours to count, at least 1; clipped to N.
        progress: Hears how many queries are done, and may cancel.

    Raises:
        EvaluationError: The shapes disagree, k is below 1, or no query's label is in the gallery.
        Cancelled: The user asked to stop.
    """
    _check(query_vectors, query_labels, gallery_vectors, gallery_labels, k)
    names, codes = np.unique(np.asarray(gallery_labels, dtype=np.str_), return_inverse=True)
    sizes = np.bincount(codes, minlength=len(names))
    queries = np.asarray(query_labels, dtype=np.str_)
    answerable = np.flatnonzero(np.isin(queries, names))
    if not answerable.size:
        raise EvaluationError(
            "None of the queries has a label that the gallery holds.",
            next_step="Check that the queries and the gallery come from the same catalogue.",
        )
    wanted = np.searchsorted(names, queries[answerable])  # (A,) class number of each query
    k = min(k, len(codes))
    step = max(1, _CHUNK_CELLS // len(codes))
    parts: list[dict[str, NDArray[np.float64]]] = []
    for start in range(0, len(wanted), step):
        progress.check_cancelled()
        chunk = slice(start, start + step)
        similarity = query_vectors[answerable[chunk]] @ gallery_vectors.T  # (q, N)
        parts.append(_scored(similarity, codes, wanted[chunk], sizes, k))
        progress.report(min(start + step, len(wanted)), len(wanted), unit="queries", note="scoring")
    by_query = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}  # (A,) each
    first = by_query["precision_at_1"]
    return RetrievalScores(
        queries=len(wanted),
        unanswerable=len(queries) - len(wanted),
        gallery=len(codes),
        k=k,
        by_label={str(names[c]): float(first[wanted == c].mean()) for c in np.unique(wanted)},
        **{name: float(values.mean()) for name, values in by_query.items()},
    )


def _scored(
    similarity: NDArray[np.float32],
    codes: NDArray[np.int64],
    wanted: NDArray[np.int64],
    sizes: NDArray[np.int64],
    k: int,
) -> dict[str, NDArray[np.float64]]:
    """Score one chunk of queries; returns the rates of ``RetrievalScores``, (q,) each."""
    relevant = sizes[wanted]
    depth = max(int(relevant.max()), k)
    matches = np.zeros((len(wanted), depth), dtype=np.bool_)

    def fill(row: int) -> None:
        matches[row] = codes[_nearest(similarity[row], depth)] == wanted[row]

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # NumPy sorts outside the interpreter's lock
        list(pool.map(fill, range(len(wanted))))
    return {
        "precision_at_1": scores.precision_at_1(matches),
        "precision_at_k": scores.precision_at_k(matches, k=k),
        "hit_rate_at_k": scores.hit_rate_at_k(matches, k=k),
        "r_precision": scores.r_precision(matches, relevant),
        "map_at_r": scores.map_at_r(matches, relevant),
    }


def _nearest(similarity: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Return the positions of the ``depth`` most similar items, best first, equal ones by position."""
    border = np.partition(similarity, len(similarity) - depth)[len(similarity) - depth]
    found = np.flatnonzero(similarity >= border)
    order = np.argsort(-similarity[found], kind="stable")[:depth]
    nearest: NDArray[np.int64] = found[order]
    return nearest


def _check(
    queries: NDArray[np.float32], query_labels: Labels, gallery: NDArray[np.float32], gallery_labels: Labels, k: int
) -> None:
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise EvaluationError(f"Need (Q, D) and (N, D), got {queries.shape} and {gallery.shape}.")
    if len(queries) != len(query_labels) or len(gallery) != len(gallery_labels):
        raise EvaluationError("Every embedding needs its label.")
    if not len(queries) or not len(gallery):
        raise EvaluationError("There are no queries, or the gallery is empty.")
    if k < 1:
        raise EvaluationError(f"k must be at least 1, got {k}.", next_step="Count one neighbour or more.")
